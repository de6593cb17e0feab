#include "probe.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "abi.h"
#include "errno.h"
#include "fd.h"
#include "tap.h"

// Younger than the headers of some build hosts.
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace vtepd {

namespace {

constexpr char WORKS[] = "";
constexpr int SEGMENTS = 64;
constexpr int SEGMENT_BYTES = 32;
// For datagrams over loopback, which are there before the send returns.
constexpr int ARRIVAL_MS = 100;

std::string Because(const char* what) {
  return std::string(what) + ": " + ErrorName(errno);
}

// Two UDP sockets on 127.0.0.1, the first connected to the second. Empty when there are none.
std::string OpenPair(Fd& sender, Fd& receiver) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  receiver = Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sender = Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!receiver.IsOpen() || !sender.IsOpen()) return Because("socket");
  if (bind(receiver.Get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return Because("bind");
  if (getsockname(receiver.Get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return Because("getsockname");
  if (connect(sender.Get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return Because("connect");
  return WORKS;
}

// Sends SEGMENTS datagrams in one message and counts what arrives.
std::string TrySegment() {
  Fd sender, receiver;
  const std::string refusal = OpenPair(sender, receiver);
  if (!refusal.empty()) return refusal;
  const int segment = SEGMENT_BYTES;
  if (setsockopt(sender.Get(), IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)) != 0) return Because("UDP_SEGMENT");
  const char payload[SEGMENTS * SEGMENT_BYTES] = {};
  if (send(sender.Get(), payload, sizeof(payload), 0) != static_cast<ssize_t>(sizeof(payload))) return Because("send");
  for (int i = 0; i < SEGMENTS; i++) {
    pollfd wait = {receiver.Get(), POLLIN, 0};
    char datagram[2 * SEGMENT_BYTES];
    if (poll(&wait, 1, ARRIVAL_MS) != 1) return "only " + std::to_string(i) + " of 64 datagrams arrived on loopback";
    if (recv(receiver.Get(), datagram, sizeof(datagram), 0) != SEGMENT_BYTES) return "a datagram of the wrong size";
  }
  return WORKS;
}

std::string TryMerge() {
  const Fd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket_fd.IsOpen()) return Because("socket");
  const int on = 1;
  return setsockopt(socket_fd.Get(), IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) == 0 ? WORKS : Because("UDP_GRO");
}

// Ethernet, IPv4, and a TCP or UDP header with two full segments and a short one behind it, for nobody.
std::string TrySuperframe(int tap, bool is_udp) {
  constexpr size_t ETHERNET = 14, IPV4 = 20, PAYLOAD = 230;
  const size_t l4 = is_udp ? 8 : 20;
  const size_t length = ETHERNET + IPV4 + l4 + PAYLOAD;
  uint8_t buffer[sizeof(abi::VnetHeader) + 512] = {};
  abi::VnetHeader vnet{};
  vnet.flags = 1;  // NEEDS_CSUM
  vnet.gso_type = is_udp ? abi::GSO_UDP_L4 : abi::GSO_TCPV4;
  vnet.gso_size = 100;
  vnet.hdr_len = static_cast<uint16_t>(ETHERNET + IPV4 + l4);
  vnet.csum_start = ETHERNET + IPV4;
  vnet.csum_offset = is_udp ? 6 : 16;
  memcpy(buffer, &vnet, sizeof(vnet));
  uint8_t* const frame = buffer + sizeof(vnet);
  const uint8_t headers[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45};
  memcpy(frame, headers, sizeof(headers));
  const uint16_t total = htons(static_cast<uint16_t>(length - ETHERNET));
  memcpy(frame + ETHERNET + 2, &total, sizeof(total));
  const uint8_t rest[] = {0, 1, 0x40, 0, 64, static_cast<uint8_t>(is_udp ? 17 : 6), 0, 0, 192, 0, 2, 1, 192, 0, 2, 2};
  memcpy(frame + ETHERNET + 4, rest, sizeof(rest));
  uint8_t* const transport = frame + ETHERNET + IPV4;
  if (is_udp) {
    const uint16_t udp_length = htons(static_cast<uint16_t>(l4 + PAYLOAD));
    memcpy(transport + 4, &udp_length, sizeof(udp_length));
  } else {
    transport[12] = 5 << 4;  // data offset
    transport[13] = 0x10;    // ACK
  }
  return write(tap, buffer, sizeof(vnet) + length) >= 0 ? WORKS : Because("write");
}

bool SetUp(const char* name) {
  const Fd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  memcpy(request.ifr_name, name, IFNAMSIZ);
  if (!control.IsOpen() || ioctl(control.Get(), SIOCGIFFLAGS, &request) != 0) return false;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  return ioctl(control.Get(), SIOCSIFFLAGS, &request) == 0;
}

struct TapAnswers {
  std::string vnet_header, checksum, tso, uso, write_tcp, write_udp, tunnel;
};

TapAnswers AskTap() {
  TapAnswers answers;
  const auto all = [&answers](const std::string& refusal) {
    answers = {refusal, refusal, refusal, refusal, refusal, refusal, refusal};
    return answers;
  };
  const Fd tap(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tap.IsOpen()) return all(Because("open(/dev/net/tun)"));
  ifreq request{};
  memcpy(request.ifr_name, "vtepd%d", sizeof("vtepd%d"));
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(tap.Get(), TUNSETIFF, &request) != 0) return all(Because("TUNSETIFF with IFF_VNET_HDR"));
  const int size = abi::VNET_HEADER_BYTES;
  if (ioctl(tap.Get(), TUNSETVNETHDRSZ, &size) != 0) return all(Because("TUNSETVNETHDRSZ"));
  const auto offload = [&tap](TapOffload level) {
    return ioctl(tap.Get(), TUNSETOFFLOAD, OffloadBits(level)) == 0 ? WORKS : Because("TUNSETOFFLOAD");
  };
  answers.checksum = offload(TapOffload::kChecksum);
  answers.tso = offload(TapOffload::kTso);
  answers.uso = offload(TapOffload::kUso);
  if (!SetUp(request.ifr_name)) {
    answers.write_tcp = answers.write_udp = answers.tunnel = Because("the device cannot be set up");
    return answers;
  }
  answers.write_tcp = TrySuperframe(tap.Get(), false);
  answers.write_udp = TrySuperframe(tap.Get(), true);
  const int tunnel_size = VnetHeaderBytes(TapOffload::kTunnel);
  answers.tunnel =
      ioctl(tap.Get(), TUNSETVNETHDRSZ, &tunnel_size) == 0 ? offload(TapOffload::kTunnel) : Because("TUNSETVNETHDRSZ");
  return answers;
}

}  // namespace

Napi::Value ProbeUdp(const Napi::CallbackInfo& info) {
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("segment", TrySegment());
  result.Set("merge", TryMerge());
  return result;
}

Napi::Value ProbeTap(const Napi::CallbackInfo& info) {
  const TapAnswers answers = AskTap();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("vnetHeader", answers.vnet_header);
  result.Set("checksum", answers.checksum);
  result.Set("tso", answers.tso);
  result.Set("uso", answers.uso);
  result.Set("writeTcp", answers.write_tcp);
  result.Set("writeUdp", answers.write_udp);
  result.Set("tunnel", answers.tunnel);
  return result;
}

}  // namespace vtepd
