// Visits to another network namespace for set-up calls: sockets and devices are made in the namespace of the calling
// thread, and stay there.
#ifndef VTEPD_NETNS_H_
#define VTEPD_NETNS_H_

#include <cstdint>
#include <string>

#include "errno.h"
#include "fd.h"

namespace vtepd {

// Opens the namespace that a path names.
SystemError OpenNetns(const std::string& path, Fd& netns);

// Sets `is_present` to whether the calling thread is in the namespace behind a borrowed descriptor.
SystemError ComparePresentNetns(int netns_fd, const std::string& subject, bool& is_present);

// Number that tells the calling thread's namespace from others.
SystemError PresentNetnsInode(uint64_t& inode);

// While it lives, the calling thread may be in another network namespace; its end brings the thread back. A thread that
// cannot get back would do all its later work in the wrong network, so that ends the process (abort).
class NetnsVisit {
 public:
  NetnsVisit() = default;
  ~NetnsVisit();
  NetnsVisit(const NetnsVisit&) = delete;
  NetnsVisit& operator=(const NetnsVisit&) = delete;

  // Goes to the namespace that a path names; an empty path means the present one. At most one Enter call per visit.
  SystemError Enter(const std::string& path);
  // Goes to the namespace behind a borrowed descriptor. Needs no capability when that is the present one.
  SystemError Enter(int netns_fd, const std::string& subject);

 private:
  Fd home_;
};

}  // namespace vtepd

#endif  // VTEPD_NETNS_H_
