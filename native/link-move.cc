#include "link-move.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>

#include "netlink.h"

namespace vtepd {

namespace {

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

}  // namespace

SystemError MoveLink(int ifindex, int netns_fd, const std::string& name) {
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
  return AskNetlink(request.header, "netlink(RTM_NEWLINK)", name);
}

}  // namespace vtepd
