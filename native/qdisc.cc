#include "qdisc.h"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>

#include "netlink.h"

namespace vtepd {

namespace {

constexpr char NO_QUEUE[] = "noqueue";

// RTM_NEWQDISC with TCA_KIND, rtnetlink(7). Each part's size is a multiple of 4 bytes, as netlink aligns to that.
struct Request {
  nlmsghdr header;
  tcmsg qdisc;
  rtattr kind_attribute;
  char kind[sizeof(NO_QUEUE)];
};
static_assert(sizeof(Request) == NLMSG_LENGTH(sizeof(tcmsg)) + RTA_LENGTH(sizeof(NO_QUEUE)));

}  // namespace

SystemError RemoveQdisc(int ifindex, const std::string& name) {
  Request request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_NEWQDISC;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
  request.qdisc.tcm_family = AF_UNSPEC;
  request.qdisc.tcm_ifindex = ifindex;
  request.qdisc.tcm_parent = TC_H_ROOT;
  request.kind_attribute = {RTA_LENGTH(sizeof(NO_QUEUE)), TCA_KIND};
  memcpy(request.kind, NO_QUEUE, sizeof(NO_QUEUE));
  return AskNetlink(request.header, "netlink(RTM_NEWQDISC)", name);
}

}  // namespace vtepd
