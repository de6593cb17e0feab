#include "underlay-socket.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

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

namespace vtepd {

namespace {

void SetIpv4Options(SocketOptions& socket, const UnderlayOptions& options) {
  if (options.ttl) socket.Set(IPPROTO_IP, IP_TTL, "IP_TTL", static_cast<int>(*options.ttl));
  if (options.tos) socket.Set(IPPROTO_IP, IP_TOS, "IP_TOS", static_cast<int>(*options.tos));
  if (options.mtu_discover) {
    socket.Set(IPPROTO_IP, IP_MTU_DISCOVER, "IP_MTU_DISCOVER", static_cast<int>(*options.mtu_discover));
  }
}

void SetIpv6Options(SocketOptions& socket, const UnderlayOptions& options) {
  if (options.ttl) socket.Set(IPPROTO_IPV6, IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS", static_cast<int>(*options.ttl));
  if (options.tos) socket.Set(IPPROTO_IPV6, IPV6_TCLASS, "IPV6_TCLASS", static_cast<int>(*options.tos));
  if (options.mtu_discover) {
    socket.Set(IPPROTO_IPV6, IPV6_MTU_DISCOVER, "IPV6_MTU_DISCOVER", static_cast<int>(*options.mtu_discover));
  }
  if (!options.flow_label) return;
  // A label must be leased before anything is sent with it; others of this host may share it. The destination only has
  // to be one: it is not compared.
  in6_flowlabel_req lease{};
  lease.flr_dst = in6addr_loopback;
  lease.flr_label = htonl(static_cast<uint32_t>(*options.flow_label));
  lease.flr_action = IPV6_FL_A_GET;
  lease.flr_share = IPV6_FL_S_ANY;
  lease.flr_flags = IPV6_FL_F_CREATE;
  socket.SetBytes(IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, "IPV6_FLOWLABEL_MGR", &lease, sizeof(lease));
  socket.Set(IPPROTO_IPV6, IPV6_FLOWINFO_SEND, "IPV6_FLOWINFO_SEND", 1);
}

}  // namespace

std::string UnderlayOptions::AddressText() const {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(IsIpv6() ? AF_INET6 : AF_INET, address.data(), text, sizeof(text));
  return text;
}

void ReadUnderlayOptions(Options& options, UnderlayOptions& underlay) {
  underlay.address = options.Bytes("address").value_or(std::vector<uint8_t>());
  if (underlay.address.size() != 4 && underlay.address.size() != 16) options.Refuse("address", "4 or 16 bytes");
  underlay.scope_id = static_cast<uint32_t>(options.Integer("scopeId", 0, INT32_MAX).value_or(0));
  underlay.device = options.Text("device", IFNAMSIZ - 1).value_or("");
  underlay.send_buffer = options.Integer("sendBuffer", 1, INT32_MAX / 2);
  underlay.ttl = options.Integer("ttl", 1, 255);
  underlay.tos = options.Integer("tos", 0, 255);
  underlay.mtu_discover = options.Integer("mtuDiscover", 0, 5);
  underlay.mark = options.Integer("mark", 0, UINT32_MAX);
  underlay.flow_label = options.Integer("flowLabel", 1, 0xfffff);
  underlay.netns = options.Text("netns", 4095).value_or("");
}

void SetUnderlayOptions(SocketOptions& socket, const UnderlayOptions& options) {
  socket.BindToDevice(options.device);
  if (options.mark) socket.Set(SOL_SOCKET, SO_MARK, "SO_MARK", static_cast<int>(*options.mark));
  if (options.send_buffer) socket.SetSendBuffer(static_cast<int>(*options.send_buffer));
  if (options.IsIpv6()) {
    SetIpv6Options(socket, options);
  } else {
    SetIpv4Options(socket, options);
  }
}

SystemError BindUnderlay(int fd, const UnderlayOptions& options, const std::string& subject) {
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
  return status == 0 ? SystemError{} : LastError("bind", subject);
}

}  // namespace vtepd
