#include "path-mtu.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>

#include "errno.h"
#include "options.h"
#include "raw.h"

namespace vtepd {

namespace {

bool IsRaw(int fd) {
  int type = 0;
  socklen_t size = sizeof(type);
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_RAW;
}

// Connecting a UDP socket sends nothing: it looks the route up, with the socket's source address, interface and mark,
// and what ICMP has told of the path (the kernel's exceptions to routes) counts.
template <typename Address>
int32_t ConnectAndAsk(int fd, const Address& address, int level, int option) {
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return 0;
  int mtu = 0;
  socklen_t size = sizeof(mtu);
  const bool knows = getsockopt(fd, level, option, &mtu, &size) == 0;
  // Connected to the destination, a raw socket would be given a copy of all that comes from there.
  if (IsRaw(fd)) Deafen(fd);
  return knows ? mtu : 0;
}

int32_t PathMtuIpv4(int fd, const uint8_t* destination, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  memcpy(&address.sin_addr, destination, sizeof(address.sin_addr));
  return ConnectAndAsk(fd, address, IPPROTO_IP, IP_MTU);
}

int32_t PathMtuIpv6(int fd, const uint8_t* destination, uint16_t port, uint32_t scope_id) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_scope_id = scope_id;
  memcpy(&address.sin6_addr, destination, sizeof(address.sin6_addr));
  return ConnectAndAsk(fd, address, IPPROTO_IPV6, IPV6_MTU);
}

}  // namespace

Napi::Value PathMtu(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::optional<int32_t> fd = IntegerArgument(info, 0, "pathMtu: fd", 0, INT32_MAX);
  if (!fd) return env.Undefined();
  if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    ThrowType(env, "pathMtu: address: expected a Uint8Array");
    return env.Undefined();
  }
  const Napi::Uint8Array address = info[1].As<Napi::Uint8Array>();
  const std::optional<int32_t> port = IntegerArgument(info, 2, "pathMtu: port", 0, UINT16_MAX);
  if (!port) return env.Undefined();
  const std::optional<int32_t> scope_id = IntegerArgument(info, 3, "pathMtu: scopeId", 0, INT32_MAX);
  if (!scope_id) return env.Undefined();
  const uint16_t port16 = static_cast<uint16_t>(*port);
  if (address.ElementLength() == 4) return Napi::Number::New(env, PathMtuIpv4(*fd, address.Data(), port16));
  if (address.ElementLength() == 16) {
    return Napi::Number::New(env, PathMtuIpv6(*fd, address.Data(), port16, static_cast<uint32_t>(*scope_id)));
  }
  ThrowType(env, "pathMtu: address: expected 4 or 16 bytes");
  return env.Undefined();
}

}  // namespace vtepd
