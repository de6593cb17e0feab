#include "netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>

namespace vtepd {

namespace {

constexpr char OWN[] = "/proc/thread-self/ns/net";

}  // namespace

SystemError OpenNetns(const std::string& path, Fd& netns) {
  netns = Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return netns.IsOpen() ? SystemError{} : LastError("open(" + path + ")");
}

SystemError ComparePresentNetns(int netns_fd, const std::string& subject, bool& is_present) {
  struct stat here {};
  struct stat there {};
  if (stat(OWN, &here) != 0) return LastError("stat", OWN);
  if (fstat(netns_fd, &there) != 0) return LastError("fstat", subject);
  is_present = here.st_dev == there.st_dev && here.st_ino == there.st_ino;
  return {};
}

SystemError PresentNetnsInode(uint64_t& inode) {
  struct stat here {};
  if (stat(OWN, &here) != 0) return LastError("stat", OWN);
  inode = here.st_ino;
  return {};
}

NetnsVisit::~NetnsVisit() {
  if (!home_.IsOpen()) return;
  if (setns(home_.Get(), CLONE_NEWNET) == 0) return;
  perror("vtepd: cannot return to the network namespace of this thread");
  abort();
}

SystemError NetnsVisit::Enter(const std::string& path) {
  if (path.empty()) return {};
  Fd netns;
  if (SystemError error = OpenNetns(path, netns)) return error;
  return Enter(netns.Get(), path);
}

SystemError NetnsVisit::Enter(int netns_fd, const std::string& subject) {
  // setns() wants CAP_SYS_ADMIN even to stay where one is, and a daemon without namespaces need not have it.
  bool is_present = false;
  if (SystemError error = ComparePresentNetns(netns_fd, subject, is_present)) return error;
  if (is_present) return {};
  Fd home;
  if (SystemError error = OpenNetns(OWN, home)) return error;
  if (setns(netns_fd, CLONE_NEWNET) != 0) return LastError("setns", subject);
  home_ = std::move(home);
  return {};
}

}  // namespace vtepd
