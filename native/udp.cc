#include "udp.h"

#include <arpa/inet.h>
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
#include "underlay-socket.h"

// From linux/udp.h, which clashes with netinet/udp.h on some hosts.
#ifndef UDP_GRO
#define UDP_GRO 104
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

struct UdpOptions : UnderlayOptions {
  bool reuse_port = false;
  std::optional<int64_t> receive_buffer;
  bool checksum = true;
  bool accept_zero_checksum6 = false;
  bool receive_info = false;
  bool discard_input = false;
  bool merge = false;
  std::optional<int64_t> join_on;

  std::string Subject() const {
    std::string text = IsIpv6() ? "[" : "";
    text.append(AddressText()).append(IsIpv6() ? "]:" : ":").append(std::to_string(port));
    return text;
  }
};

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
  if (options.discard_input) socket.DiscardInput();
  if (options.reuse_port) socket.Set(SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT", 1);
  SetUnderlayOptions(socket, options);
  if (options.receive_buffer) socket.SetReceiveBuffer(static_cast<int>(*options.receive_buffer));
  if (options.receive_info) socket.Set(SOL_SOCKET, SO_RXQ_OVFL, "SO_RXQ_OVFL", 1);
  if (options.IsIpv6()) {
    SetIpv6Options(socket, options);
  } else {
    SetIpv4Options(socket, options);
  }
}

SystemError MakeUdp(const UdpOptions& options, Fd& fd) {
  NetnsVisit visit;
  if (SystemError error = visit.Enter(options.netns)) return error;
  fd = Fd(socket(options.IsIpv6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.IsOpen()) return LastError("socket", options.Subject());
  SocketOptions socket_options(fd.Get());
  SetOptions(socket_options, options);
  if (SystemError error = socket_options.Error()) {
    error.subject = options.device.empty() ? options.Subject() : options.Subject() + " dev " + options.device;
    return error;
  }
  return BindUnderlay(fd.Get(), options, options.Subject());
}

bool ReadOptions(const Napi::CallbackInfo& info, UdpOptions& udp) {
  Options options(info, "openUdp");
  ReadUnderlayOptions(options, udp);
  udp.port = static_cast<uint16_t>(options.RequiredInteger("port", 0, UINT16_MAX));
  udp.reuse_port = options.RequiredBoolean("reusePort");
  udp.receive_buffer = options.Integer("receiveBuffer", 1, INT32_MAX / 2);
  udp.checksum = options.Boolean("checksum", true);
  udp.accept_zero_checksum6 = options.Boolean("acceptZeroChecksum6", false);
  udp.receive_info = options.RequiredBoolean("receiveInfo");
  udp.discard_input = options.Boolean("discardInput", false);
  udp.merge = options.Boolean("merge", false);
  udp.join_on = options.Integer("joinOn", 1, INT32_MAX);
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
