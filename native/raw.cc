// How it works
//
// A raw socket without IP_HDRINCL: the kernel writes the IP header, looks the route up and fragments where that is
// allowed, as for UDP. It would also receive, but what it gets may have been merged by the kernel, with inner checksums
// unfinished and no word of either; so it discards its input, and packet sockets receive (packet-socket.cc). Being
// there is of use all the same: a host answers a protocol that no socket has with ICMP "protocol unreachable"
// (over IPv6: "unrecognised next header").
//
// One that is there is enough, and each costs a copy of every packet that comes in, made before its filter is asked. So
// the others are deaf: connected to their own address, which no packet comes from.
//
// ICMP comes to the same sockets as packets do, so the one that is not deaf also tells the kernel of narrow paths, for
// the others and for path-mtu.cc. Over IPv4 it does so by being there; over IPv6 a socket that is not connected is
// asked only if it wants errors.
#include "raw.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "errno.h"
#include "fd.h"
#include "netns.h"
#include "underlay-socket.h"

namespace vtepd {

namespace {

struct RawOptions : UnderlayOptions {
  int protocol = 0;
  bool is_deaf = false;

  std::string Subject() const { return AddressText() + " protocol " + std::to_string(protocol); }
};

// 255 (IPPROTO_RAW) would mean IP_HDRINCL.
constexpr int64_t MAX_PROTOCOL = 254;

// What the errors have to say is found by sending; nobody reads them, so as few as can be are kept. There is always
// room left: a socket without any would not count as being there.
void HearErrors(SocketOptions& socket) {
  socket.Set(IPPROTO_IPV6, IPV6_RECVERR, "IPV6_RECVERR", 1);
  socket.SetReceiveBuffer(1);
}

SystemError MakeRaw(const RawOptions& options, Fd& fd) {
  NetnsVisit visit;
  if (SystemError error = visit.Enter(options.netns)) return error;
  const int type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  fd = Fd(socket(options.IsIpv6() ? AF_INET6 : AF_INET, type, options.protocol));
  if (!fd.IsOpen()) return LastError("socket", options.Subject());
  SocketOptions socket_options(fd.Get());
  socket_options.DiscardInput();
  SetUnderlayOptions(socket_options, options);
  if (options.IsIpv6() && !options.is_deaf) HearErrors(socket_options);
  if (SystemError error = socket_options.Error()) {
    error.subject = options.device.empty() ? options.Subject() : options.Subject() + " dev " + options.device;
    return error;
  }
  if (SystemError error = BindUnderlay(fd.Get(), options, options.Subject())) return error;
  if (options.is_deaf) Deafen(fd.Get());
  return {};
}

}  // namespace

void Deafen(int fd) {
  sockaddr_storage own{};
  socklen_t size = sizeof(own);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0) return;
  // A raw socket over IPv6 takes no port but its protocol or none.
  if (own.ss_family == AF_INET6) reinterpret_cast<sockaddr_in6*>(&own)->sin6_port = 0;
  (void)connect(fd, reinterpret_cast<const sockaddr*>(&own), size);
}

Napi::Value OpenRaw(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  RawOptions raw;
  Options options(info, "openRaw");
  ReadUnderlayOptions(options, raw);
  raw.protocol = static_cast<int>(options.RequiredInteger("protocol", 1, MAX_PROTOCOL));
  raw.is_deaf = options.Boolean("deaf", false);
  if (options.Failed()) return env.Undefined();
  Fd fd;
  if (const SystemError error = MakeRaw(raw, fd)) {
    Throw(env, error);
    return env.Undefined();
  }
  return Napi::Number::New(env, fd.Release());
}

}  // namespace vtepd
