#include "route.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "errno.h"
#include "fd.h"
#include "netns.h"
#include "options.h"

namespace vtepd {

namespace {

constexpr char CALL[] = "netlink(RTM_GETROUTE)";

// RTM_GETROUTE, rtnetlink(7): a lookup as for a packet that this host sends.
struct Question {
  std::vector<uint8_t> address;
  std::vector<uint8_t> source;
  uint32_t mark = 0;
  uint32_t link = 0;
  std::string netns;
};

class Request {
 public:
  explicit Request(const Question& question) {
    header_.nlmsg_len = NLMSG_LENGTH(sizeof(route_));
    header_.nlmsg_type = RTM_GETROUTE;
    header_.nlmsg_flags = NLM_F_REQUEST;
    route_.rtm_family = question.address.size() == 4 ? AF_INET : AF_INET6;
    route_.rtm_dst_len = static_cast<uint8_t>(question.address.size() * 8);
    route_.rtm_src_len = static_cast<uint8_t>(question.source.size() * 8);
    Add(RTA_DST, question.address.data(), question.address.size());
    if (!question.source.empty()) Add(RTA_SRC, question.source.data(), question.source.size());
    if (question.link != 0) Add(RTA_OIF, &question.link, sizeof(question.link));
    if (question.mark != 0) Add(RTA_MARK, &question.mark, sizeof(question.mark));
  }

  bool SendTo(int netlink) {
    memcpy(bytes_, &header_, sizeof(header_));
    memcpy(bytes_ + NLMSG_LENGTH(0), &route_, sizeof(route_));
    return send(netlink, bytes_, header_.nlmsg_len, 0) == static_cast<ssize_t>(header_.nlmsg_len);
  }

 private:
  // Sizes are multiples of 4 bytes, as netlink aligns to that.
  void Add(uint16_t type, const void* data, size_t size) {
    const rtattr attribute = {static_cast<uint16_t>(RTA_LENGTH(size)), type};
    memcpy(bytes_ + header_.nlmsg_len, &attribute, sizeof(attribute));
    memcpy(bytes_ + header_.nlmsg_len + RTA_LENGTH(0), data, size);
    header_.nlmsg_len += static_cast<uint32_t>(RTA_LENGTH(size));
  }

  nlmsghdr header_{};
  rtmsg route_{};
  uint8_t bytes_[256] = {};
};

// Interface of an RTM_NEWROUTE; 0 when it has none, or when the answer is an error: there is no way then.
uint32_t InterfaceIn(const uint8_t* answer, size_t size) {
  nlmsghdr header{};
  if (size < NLMSG_LENGTH(sizeof(rtmsg))) return 0;
  memcpy(&header, answer, sizeof(header));
  if (header.nlmsg_type != RTM_NEWROUTE) return 0;
  rtattr attribute{};
  for (size_t at = NLMSG_LENGTH(sizeof(rtmsg)); at + sizeof(attribute) <= size;) {
    memcpy(&attribute, answer + at, sizeof(attribute));
    if (attribute.rta_len < sizeof(attribute) || at + attribute.rta_len > size) return 0;
    if (attribute.rta_type == RTA_OIF && attribute.rta_len == RTA_LENGTH(sizeof(uint32_t))) {
      uint32_t ifindex;
      memcpy(&ifindex, answer + at + RTA_LENGTH(0), sizeof(ifindex));
      return ifindex;
    }
    at += RTA_ALIGN(attribute.rta_len);
  }
  return 0;
}

SystemError Ask(const Question& question, uint32_t& ifindex) {
  NetnsVisit visit;
  if (SystemError error = visit.Enter(question.netns)) return error;
  const Fd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink.IsOpen()) return LastError("socket(AF_NETLINK)");
  if (!Request(question).SendTo(netlink.Get())) return LastError(CALL);
  alignas(nlmsghdr) uint8_t answer[4096];
  ssize_t got;
  do {
    got = recv(netlink.Get(), answer, sizeof(answer), 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return LastError(CALL);
  ifindex = InterfaceIn(answer, static_cast<size_t>(got));
  return {};
}

bool IsAddress(const std::vector<uint8_t>& bytes) {
  return bytes.size() == 4 || bytes.size() == 16;
}

}  // namespace

Napi::Value RouteInterface(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Options options(info, "routeInterface");
  Question question;
  question.address = options.Bytes("address").value_or(std::vector<uint8_t>());
  if (!IsAddress(question.address)) options.Refuse("address", "4 or 16 bytes");
  question.source = options.Bytes("source").value_or(std::vector<uint8_t>());
  if (!question.source.empty() && question.source.size() != question.address.size()) {
    options.Refuse("source", "as many bytes as the address");
  }
  question.mark = static_cast<uint32_t>(options.Integer("mark", 0, UINT32_MAX).value_or(0));
  question.link = static_cast<uint32_t>(options.Integer("link", 0, INT32_MAX).value_or(0));
  question.netns = options.Text("netns", 4095).value_or("");
  if (options.Failed()) return env.Undefined();
  uint32_t ifindex = 0;
  if (const SystemError error = Ask(question, ifindex)) {
    Throw(env, error);
    return env.Undefined();
  }
  return Napi::Number::New(env, ifindex);
}

}  // namespace vtepd
