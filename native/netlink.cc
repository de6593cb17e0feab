#include "netlink.h"

#include <sys/socket.h>

#include <cerrno>

#include "fd.h"

namespace vtepd {

namespace {

struct Answer {
  nlmsghdr header;
  nlmsgerr error;
};

}  // namespace

SystemError AskNetlink(const nlmsghdr& request, const char* call, const std::string& subject) {
  const Fd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink.IsOpen()) return LastError("socket(AF_NETLINK)", subject);
  if (send(netlink.Get(), &request, request.nlmsg_len, 0) < 0) return LastError(call, subject);
  // The kernel has done the work by now; the answer is waiting. It may carry the request behind the error, which is
  // cut.
  Answer answer{};
  ssize_t got;
  do {
    got = recv(netlink.Get(), &answer, sizeof(answer), 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return LastError(call, subject);
  if (static_cast<size_t>(got) < sizeof(answer.header) + sizeof(answer.error.error) ||
      answer.header.nlmsg_type != NLMSG_ERROR) {
    return {EPROTO, call, subject};
  }
  return {-answer.error.error, call, subject};
}

}  // namespace vtepd
