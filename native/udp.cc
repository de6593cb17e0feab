#include "udp.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "errno.h"
#include "fd.h"
#include "netns.h"
#include "options.h"

// From linux/udp.h, which clashes with netinet/udp.h on some hosts.
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
// From linux/in6.h, which clashes with netinet/in.h.
struct in6_flowlabel_req {
  in6_addr flr_dst;
  uint32_t flr_label;  // Network order.
  uint8_t flr_action;
  uint8_t flr_share;
  uint16_t flr_flags;
  uint16_t flr_expires;
  uint16_t flr_linger;
  uint32_t flr_pad;
};
#ifndef IPV6_FLOWLABEL_MGR
#define IPV6_FLOWLABEL_MGR 32
#define IPV6_FLOWINFO_SEND 33
#endif
#ifndef IPV6_FL_A_GET
#define IPV6_FL_A_GET 0
#define IPV6_FL_F_CREATE 1
#define IPV6_FL_S_ANY 255
#endif
// Linux 4.20.
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif
#ifndef UDP_NO_CHECK6_TX
#define UDP_NO_CHECK6_TX 101
#define UDP_NO_CHECK6_RX 102
#endif

namespace vtepd {

namespace {

struct UdpOptions {
  std::vector<uint8_t> address;
  uint16_t port = 0;
  uint32_t scope_id = 0;
  std::string device;
  bool reuse_port = false;
  std::optional<int64_t> receive_buffer;
  std::optional<int64_t> send_buffer;
  bool checksum = true;
  bool accept_zero_checksum6 = false;
  std::optional<int64_t> ttl;
  std::optional<int64_t> tos;
  bool receive_info = false;
  std::optional<int64_t> mtu_discover;
  bool discard_input = false;
  bool merge = false;
  std::optional<int64_t> mark;
  std::optional<int64_t> join_on;
  std::optional<int64_t> flow_label;
  std::string netns;

  bool IsIpv6() const { return address.size() == 16; }
};

// One option after the other, until one fails: later calls do nothing, and the first error stays.
class SocketOptions {
 public:
  explicit SocketOptions(int fd) : fd_(fd) {}

  void Set(int level, int option, const char* name, int value) { SetBytes(level, option, name, &value, sizeof(value)); }

  void SetBytes(int level, int option, const char* name, const void* value, size_t size) {
    if (error_ || setsockopt(fd_, level, option, value, size) == 0) return;
    error_ = LastError(std::string("setsockopt(") + name + ")");
  }

  // The forced variant ignores the host's limit but needs CAP_NET_ADMIN; the other goes as far as the limit.
  void SetBuffer(int forced, int limited, const char* name, int bytes) {
    if (error_ || setsockopt(fd_, SOL_SOCKET, forced, &bytes, sizeof(bytes)) == 0) return;
    Set(SOL_SOCKET, limited, name, bytes);
  }

  const SystemError& Error() const { return error_; }

 private:
  int fd_;
  SystemError error_;
};

std::string AddressText(const UdpOptions& options) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(options.IsIpv6() ? AF_INET6 : AF_INET, options.address.data(), text, sizeof(text));
  std::string result = options.IsIpv6() ? "[" : "";
  result.append(text).append(options.IsIpv6() ? "]:" : ":").append(std::to_string(options.port));
  return result;
}

ip_mreqn Membership4(const std::vector<uint8_t>& group, int64_t ifindex) {
  ip_mreqn membership{};
  memcpy(&membership.imr_multiaddr, group.data(), sizeof(membership.imr_multiaddr));
  membership.imr_ifindex = static_cast<int>(ifindex);
  return membership;
}

ipv6_mreq Membership6(const std::vector<uint8_t>& group, int64_t ifindex) {
  ipv6_mreq membership{};
  memcpy(&membership.ipv6mr_multiaddr, group.data(), sizeof(membership.ipv6mr_multiaddr));
  membership.ipv6mr_interface = static_cast<unsigned>(ifindex);
  return membership;
}

void Join(SocketOptions& socket, const std::vector<uint8_t>& group, int64_t ifindex) {
  if (group.size() == 16) {
    const ipv6_mreq membership = Membership6(group, ifindex);
    socket.SetBytes(IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, "IPV6_ADD_MEMBERSHIP", &membership, sizeof(membership));
  } else {
    const ip_mreqn membership = Membership4(group, ifindex);
    socket.SetBytes(IPPROTO_IP, IP_ADD_MEMBERSHIP, "IP_ADD_MEMBERSHIP", &membership, sizeof(membership));
  }
}

// The kernel may have forgotten the membership already; what it says to that is of no interest.
void Leave(int fd, const std::vector<uint8_t>& group, int64_t ifindex) {
  if (group.size() == 16) {
    const ipv6_mreq membership = Membership6(group, ifindex);
    setsockopt(fd, IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, &membership, sizeof(membership));
  } else {
    const ip_mreqn membership = Membership4(group, ifindex);
    setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &membership, sizeof(membership));
  }
}

void SetIpv4Options(SocketOptions& socket, const UdpOptions& options) {
  if (!options.checksum) socket.Set(SOL_SOCKET, SO_NO_CHECK, "SO_NO_CHECK", 1);
  if (options.ttl) socket.Set(IPPROTO_IP, IP_TTL, "IP_TTL", static_cast<int>(*options.ttl));
  if (options.tos) socket.Set(IPPROTO_IP, IP_TOS, "IP_TOS", static_cast<int>(*options.tos));
  if (options.mtu_discover) {
    socket.Set(IPPROTO_IP, IP_MTU_DISCOVER, "IP_MTU_DISCOVER", static_cast<int>(*options.mtu_discover));
  }
  if (options.join_on) {
    Join(socket, options.address, *options.join_on);
    // Only what this socket has joined, not what others of this host have.
    socket.Set(IPPROTO_IP, IP_MULTICAST_ALL, "IP_MULTICAST_ALL", 0);
  }
  if (!options.receive_info) return;
  socket.Set(IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO", 1);
  socket.Set(IPPROTO_IP, IP_RECVTOS, "IP_RECVTOS", 1);
}

void SetIpv6Options(SocketOptions& socket, const UdpOptions& options) {
  // An IPv4 datagram belongs to the IPv4 socket beside this one.
  socket.Set(IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY", 1);
  if (!options.checksum) socket.Set(IPPROTO_UDP, UDP_NO_CHECK6_TX, "UDP_NO_CHECK6_TX", 1);
  if (options.accept_zero_checksum6) socket.Set(IPPROTO_UDP, UDP_NO_CHECK6_RX, "UDP_NO_CHECK6_RX", 1);
  if (options.ttl) socket.Set(IPPROTO_IPV6, IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS", static_cast<int>(*options.ttl));
  if (options.tos) socket.Set(IPPROTO_IPV6, IPV6_TCLASS, "IPV6_TCLASS", static_cast<int>(*options.tos));
  if (options.mtu_discover) {
    socket.Set(IPPROTO_IPV6, IPV6_MTU_DISCOVER, "IPV6_MTU_DISCOVER", static_cast<int>(*options.mtu_discover));
  }
  if (options.flow_label) {
    // A label must be leased before anything is sent with it; others of this host may share it. The destination only
    // has to be one: it is not compared.
    in6_flowlabel_req lease{};
    lease.flr_dst = in6addr_loopback;
    lease.flr_label = htonl(static_cast<uint32_t>(*options.flow_label));
    lease.flr_action = IPV6_FL_A_GET;
    lease.flr_share = IPV6_FL_S_ANY;
    lease.flr_flags = IPV6_FL_F_CREATE;
    socket.SetBytes(IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, "IPV6_FLOWLABEL_MGR", &lease, sizeof(lease));
    socket.Set(IPPROTO_IPV6, IPV6_FLOWINFO_SEND, "IPV6_FLOWINFO_SEND", 1);
  }
  if (options.join_on) {
    Join(socket, options.address, *options.join_on);
    socket.Set(IPPROTO_IPV6, IPV6_MULTICAST_ALL, "IPV6_MULTICAST_ALL", 0);
  }
  if (!options.receive_info) return;
  socket.Set(IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO", 1);
  socket.Set(IPPROTO_IPV6, IPV6_RECVTCLASS, "IPV6_RECVTCLASS", 1);
}

void SetOptions(SocketOptions& socket, const UdpOptions& options) {
  if (options.merge) socket.Set(IPPROTO_UDP, UDP_GRO, "UDP_GRO", 1);
  if (options.discard_input) {
    // The classic BPF program "return 0": keep no byte of any datagram.
    sock_filter program[] = {{BPF_RET | BPF_K, 0, 0, 0}};
    const sock_fprog filter = {1, program};
    socket.SetBytes(SOL_SOCKET, SO_ATTACH_FILTER, "SO_ATTACH_FILTER", &filter, sizeof(filter));
  }
  if (options.reuse_port) socket.Set(SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT", 1);
  if (!options.device.empty()) {
    socket.SetBytes(SOL_SOCKET, SO_BINDTODEVICE, "SO_BINDTODEVICE", options.device.c_str(), options.device.size() + 1);
  }
  if (options.mark) socket.Set(SOL_SOCKET, SO_MARK, "SO_MARK", static_cast<int>(*options.mark));
  if (options.receive_buffer) {
    socket.SetBuffer(SO_RCVBUFFORCE, SO_RCVBUF, "SO_RCVBUF", static_cast<int>(*options.receive_buffer));
  }
  if (options.send_buffer) {
    socket.SetBuffer(SO_SNDBUFFORCE, SO_SNDBUF, "SO_SNDBUF", static_cast<int>(*options.send_buffer));
  }
  if (options.receive_info) socket.Set(SOL_SOCKET, SO_RXQ_OVFL, "SO_RXQ_OVFL", 1);
  if (options.IsIpv6()) {
    SetIpv6Options(socket, options);
  } else {
    SetIpv4Options(socket, options);
  }
}

SystemError Bind(int fd, const UdpOptions& options) {
  int status;
  if (options.IsIpv6()) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(options.port);
    address.sin6_scope_id = options.scope_id;
    memcpy(&address.sin6_addr, options.address.data(), sizeof(address.sin6_addr));
    status = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  } else {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options.port);
    memcpy(&address.sin_addr, options.address.data(), sizeof(address.sin_addr));
    status = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  }
  return status == 0 ? SystemError{} : LastError("bind", AddressText(options));
}

SystemError MakeUdp(const UdpOptions& options, Fd& fd) {
  NetnsVisit visit;
  if (SystemError error = visit.Enter(options.netns)) return error;
  fd = Fd(socket(options.IsIpv6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.IsOpen()) return LastError("socket", AddressText(options));
  SocketOptions socket_options(fd.Get());
  SetOptions(socket_options, options);
  if (SystemError error = socket_options.Error()) {
    error.subject = options.device.empty() ? AddressText(options) : AddressText(options) + " dev " + options.device;
    return error;
  }
  return Bind(fd.Get(), options);
}

bool ReadOptions(const Napi::CallbackInfo& info, UdpOptions& udp) {
  Options options(info, "openUdp");
  udp.address = options.Bytes("address").value_or(std::vector<uint8_t>());
  if (udp.address.size() != 4 && udp.address.size() != 16) options.Refuse("address", "4 or 16 bytes");
  udp.port = static_cast<uint16_t>(options.RequiredInteger("port", 0, UINT16_MAX));
  udp.scope_id = static_cast<uint32_t>(options.Integer("scopeId", 0, INT32_MAX).value_or(0));
  udp.device = options.Text("device", IFNAMSIZ - 1).value_or("");
  udp.reuse_port = options.RequiredBoolean("reusePort");
  udp.receive_buffer = options.Integer("receiveBuffer", 1, INT32_MAX / 2);
  udp.send_buffer = options.Integer("sendBuffer", 1, INT32_MAX / 2);
  udp.checksum = options.Boolean("checksum", true);
  udp.accept_zero_checksum6 = options.Boolean("acceptZeroChecksum6", false);
  udp.ttl = options.Integer("ttl", 1, 255);
  udp.tos = options.Integer("tos", 0, 255);
  udp.receive_info = options.RequiredBoolean("receiveInfo");
  udp.mtu_discover = options.Integer("mtuDiscover", 0, 5);
  udp.discard_input = options.Boolean("discardInput", false);
  udp.merge = options.Boolean("merge", false);
  udp.mark = options.Integer("mark", 0, UINT32_MAX);
  udp.flow_label = options.Integer("flowLabel", 1, 0xfffff);
  udp.join_on = options.Integer("joinOn", 1, INT32_MAX);
  udp.netns = options.Text("netns", 4095).value_or("");
  return !options.Failed();
}

}  // namespace

Napi::Value OpenUdp(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  UdpOptions options;
  if (!ReadOptions(info, options)) return env.Undefined();
  Fd fd;
  if (const SystemError error = MakeUdp(options, fd)) {
    Throw(env, error);
    return env.Undefined();
  }
  return Napi::Number::New(env, fd.Release());
}

void RejoinGroup(const Napi::CallbackInfo& info) {
  Options options(info, "rejoinGroup");
  const int fd = static_cast<int>(options.RequiredInteger("fd", 0, INT32_MAX));
  const std::vector<uint8_t> group = options.Bytes("address").value_or(std::vector<uint8_t>());
  if (group.size() != 4 && group.size() != 16) options.Refuse("address", "4 or 16 bytes");
  const int64_t ifindex = options.RequiredInteger("joinOn", 1, INT32_MAX);
  if (options.Failed()) return;
  Leave(fd, group, ifindex);
  SocketOptions socket(fd);
  Join(socket, group, ifindex);
  if (const SystemError error = socket.Error()) Throw(info.Env(), error);
}

Napi::Value UdpPort(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::optional<int32_t> fd = IntegerArgument(info, 0, "udpPort: fd", 0, INT32_MAX);
  if (!fd) return env.Undefined();
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(*fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    Throw(env, LastError("getsockname", std::to_string(*fd)));
    return env.Undefined();
  }
  // The port is at the same place in sockaddr_in and sockaddr_in6; abi.h asserts it.
  return Napi::Number::New(env, ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port));
}

}  // namespace vtepd
