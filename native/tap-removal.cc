#include "tap-removal.h"

#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

#include "descriptors.h"
#include "fd.h"
#include "netlink.h"
#include "netns.h"

#ifndef TUNGETDEVNETNS  // Linux 5.11.
#define TUNGETDEVNETNS _IO('T', 227)
#endif

namespace vtepd {

namespace {

// Fewer are closed as fast.
constexpr size_t FEW = 16;

// RTM_NEWLINK or RTM_DELLINK with IFLA_GROUP, rtnetlink(7). Each part's size is a multiple of 4 bytes, as netlink
// aligns to that.
struct Request {
  nlmsghdr header;
  ifinfomsg link;
  rtattr group_attribute;
  uint32_t group;
};
static_assert(sizeof(Request) == NLMSG_LENGTH(sizeof(ifinfomsg)) + RTA_LENGTH(sizeof(uint32_t)));

SystemError Ask(uint16_t type, int ifindex, uint32_t group) {
  Request request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.link.ifi_family = AF_UNSPEC;
  request.link.ifi_index = ifindex;
  request.group_attribute = {RTA_LENGTH(sizeof(group)), IFLA_GROUP};
  request.group = group;
  return AskNetlink(request.header, "netlink(IFLA_GROUP)", std::to_string(ifindex));
}

// 0 when the descriptor has no device, or one in another namespace, or in nobody knows which.
int PresentIfindex(int fd) {
  const Fd netns(ioctl(fd, TUNGETDEVNETNS));
  bool is_here = false;
  if (!netns.IsOpen() || ComparePresentNetns(netns.Get(), "TAP", is_here) || !is_here) return 0;
  ifreq request{};
  if (ioctl(fd, TUNGETIFF, &request) != 0) return 0;
  return static_cast<int>(if_nametoindex(request.ifr_name));
}

// One in 2^31 that is neither the default group, 0, nor a number people choose.
bool ChooseGroup(uint32_t& group) {
  if (getrandom(&group, sizeof(group), 0) != sizeof(group)) return false;
  group |= 0x80000000;
  return true;
}

void RemoveAsGroup(const int32_t* fds, size_t count) {
  uint32_t group;
  if (!ChooseGroup(group)) return;
  bool is_empty = true;
  for (size_t i = 0; i < count; i++) {
    const int ifindex = PresentIfindex(fds[i]);
    if (ifindex != 0 && !Ask(RTM_NEWLINK, ifindex, group)) is_empty = false;
  }
  if (!is_empty) Ask(RTM_DELLINK, 0, group);
}

}  // namespace

void RemoveTaps(const Napi::CallbackInfo& info) {
  if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
    return ThrowType(info.Env(), "removeTaps: fds: expected an Int32Array");
  }
  const Napi::Int32Array fds = info[0].As<Napi::Int32Array>();
  // What somebody else has descriptors of, too, does not go with ours.
  const bool is_held_elsewhere = info[1].IsBoolean() && info[1].As<Napi::Boolean>().Value();
  if (fds.ElementLength() >= FEW || is_held_elsewhere) RemoveAsGroup(fds.Data(), fds.ElementLength());
  CloseAll(fds.Data(), fds.ElementLength());
}

}  // namespace vtepd
