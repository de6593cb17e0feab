// How it works
//
// One socket a worker, all in one fanout group that spreads by flow, so that the packets of one flow stay in order in
// one worker; the kernel's flow hash looks into GRE and IP tunnels, and stops at UDP. A filter in the kernel leaves
// only what is for our address, protocol and port; everything else is never copied (packet-filter.cc). The sockets ask
// for one IP version and for no device in particular: such a socket sees a packet once, where IP would see it, behind
// bridges, bonds and VLANs, and never one that the host sends.
//
// Fragments over IPv4: the fanout group puts them together before the filter runs (PACKET_FANOUT_FLAG_DEFRAG); a packet
// that is still a fragment then is not ours to take. Over IPv6 the kernel has no such thing: fragments are put together
// here (fragments.h); all of one packet come to one worker, because the flow hash looks at no more of them than the
// addresses.
#include "packet-socket.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <vector>

#include "errno.h"
#include "fd.h"
#include "netns.h"
#include "options.h"
#include "packet-filter.h"
#include "socket-options.h"

#ifndef PACKET_FANOUT_FLAG_UNIQUEID
#define PACKET_FANOUT_FLAG_UNIQUEID 0x2000
#endif

namespace vtepd {

namespace {

constexpr int64_t MAX_SOCKETS = 256;

struct PacketOptions : PacketSelection {
  std::string device;
  int64_t count = 1;
  int receive_buffer = 0;
  std::string netns;
};

bool ReadOptions(const Napi::CallbackInfo& info, PacketOptions& packet) {
  Options options(info, "openPacketSockets");
  packet.address = options.Bytes("address").value_or(std::vector<uint8_t>());
  if (packet.address.size() != 4 && packet.address.size() != 16) options.Refuse("address", "4 or 16 bytes");
  packet.protocol = static_cast<uint8_t>(options.RequiredInteger("protocol", 0, UINT8_MAX));
  if (packet.protocol == PROTOCOL_UDP) {
    packet.port = static_cast<uint16_t>(options.RequiredInteger("port", 1, UINT16_MAX));
  }
  packet.device = options.Text("device", IFNAMSIZ - 1).value_or("");
  packet.is_group = options.RequiredBoolean("isGroup");
  packet.accept_zero_checksum6 = options.Boolean("acceptZeroChecksum6", false);
  packet.count = options.RequiredInteger("count", 1, MAX_SOCKETS);
  packet.receive_buffer = static_cast<int>(options.RequiredInteger("receiveBuffer", 1, INT32_MAX / 2));
  packet.netns = options.Text("netns", 4095).value_or("");
  return !options.Failed();
}

SystemError Bind(int fd, const std::string& device, uint16_t ether_type) {
  sockaddr_ll address{};
  if (!device.empty()) {
    address.sll_ifindex = static_cast<int>(if_nametoindex(device.c_str()));
    if (address.sll_ifindex == 0) return LastError("if_nametoindex", device);
  }
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ether_type);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return {};
  return LastError("bind", "packet socket");
}

// The first socket (group below 0) founds a group and tells its id; the others join it.
SystemError JoinGroup(int fd, int64_t count, int32_t& group) {
  // A group of one needs no flow hash, which costs more than everything else here; the CPU's number costs nothing.
  uint32_t mode = (count == 1 ? PACKET_FANOUT_CPU : PACKET_FANOUT_HASH) | PACKET_FANOUT_FLAG_DEFRAG;
  if (group < 0) mode |= PACKET_FANOUT_FLAG_UNIQUEID;
  const uint32_t value = (group < 0 ? 0 : static_cast<uint32_t>(group)) | mode << 16;
  SocketOptions socket(fd);
  socket.Set(SOL_PACKET, PACKET_FANOUT, "PACKET_FANOUT", static_cast<int>(value));
  if (socket.Error()) return socket.Error();
  int joined = 0;
  socklen_t size = sizeof(joined);
  if (getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &joined, &size) != 0) return LastError("getsockopt(PACKET_FANOUT)");
  group = joined & 0xffff;
  return {};
}

SystemError MakeSocket(const PacketOptions& options, int32_t& group, Fd& fd) {
  // Protocol 0: receives nothing before the filter is there.
  fd = Fd(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.IsOpen()) return LastError("socket(AF_PACKET)");
  std::vector<sock_filter> program = MakePacketFilter(options);
  const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  SocketOptions socket(fd.Get());
  socket.SetBytes(SOL_SOCKET, SO_ATTACH_FILTER, "SO_ATTACH_FILTER", &filter, sizeof(filter));
  socket.Set(SOL_PACKET, PACKET_VNET_HDR, "PACKET_VNET_HDR", 1);
  socket.Set(SOL_SOCKET, SO_RXQ_OVFL, "SO_RXQ_OVFL", 1);
  socket.SetReceiveBuffer(options.receive_buffer);
  if (socket.Error()) return socket.Error();
  if (SystemError error = Bind(fd.Get(), options.device, options.IsIpv6() ? ETH_P_IPV6 : ETH_P_IP)) return error;
  return JoinGroup(fd.Get(), options.count, group);
}

// All or, after an error, none.
SystemError MakeSockets(const PacketOptions& options, std::vector<Fd>& sockets) {
  NetnsVisit visit;
  if (SystemError error = visit.Enter(options.netns)) return error;
  int32_t group = -1;
  for (Fd& fd : sockets) {
    if (SystemError error = MakeSocket(options, group, fd)) return error;
  }
  return {};
}

}  // namespace

Napi::Value OpenPacketSockets(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  PacketOptions options;
  if (!ReadOptions(info, options)) return env.Undefined();
  std::vector<Fd> sockets(static_cast<size_t>(options.count));
  if (const SystemError error = MakeSockets(options, sockets)) {
    Throw(env, error);
    return env.Undefined();
  }
  const Napi::Array fds = Napi::Array::New(env, sockets.size());
  for (uint32_t i = 0; i < sockets.size(); i++) fds.Set(i, Napi::Number::New(env, sockets[i].Release()));
  return fds;
}

}  // namespace vtepd
