#include "link-move.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "fd.h"

namespace vtepd {

namespace {

constexpr char SYSCALL[] = "netlink(RTM_NEWLINK)";

// RTM_NEWLINK with IFLA_NET_NS_FD and IFLA_IFNAME, rtnetlink(7). Each part's size is a multiple of 4 bytes, as netlink
// aligns to that.
struct Request {
  nlmsghdr header;
  ifinfomsg link;
  rtattr netns_attribute;
  uint32_t netns;
  rtattr name_attribute;
  char name[IFNAMSIZ];
};
static_assert(sizeof(Request) == NLMSG_LENGTH(sizeof(ifinfomsg)) + RTA_LENGTH(sizeof(uint32_t)) + RTA_LENGTH(IFNAMSIZ));

struct Answer {
  nlmsghdr header;
  nlmsgerr error;
};

}  // namespace

SystemError MoveLink(int ifindex, int netns_fd, const std::string& name) {
  const Fd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink.IsOpen()) return LastError("socket(AF_NETLINK)", name);
  Request request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_NEWLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.link.ifi_family = AF_UNSPEC;
  request.link.ifi_index = ifindex;
  request.netns_attribute = {RTA_LENGTH(sizeof(request.netns)), IFLA_NET_NS_FD};
  request.netns = static_cast<uint32_t>(netns_fd);
  request.name_attribute = {RTA_LENGTH(sizeof(request.name)), IFLA_IFNAME};
  memcpy(request.name, name.c_str(), name.size());
  if (send(netlink.Get(), &request, sizeof(request), 0) < 0) return LastError(SYSCALL, name);
  // The kernel has done the work by now; the answer is waiting. It may carry the request behind the error, which is
  // cut.
  Answer answer{};
  ssize_t got;
  do {
    got = recv(netlink.Get(), &answer, sizeof(answer), 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return LastError(SYSCALL, name);
  if (static_cast<size_t>(got) < sizeof(answer.header) + sizeof(answer.error.error) ||
      answer.header.nlmsg_type != NLMSG_ERROR) {
    return {EPROTO, SYSCALL, name};
  }
  return {-answer.error.error, SYSCALL, name};
}

}  // namespace vtepd
