// How it works
//
// One socket a worker, all in one fanout group that spreads by flow, so that the datagrams of one outer flow stay in
// order in one worker. A filter in the kernel leaves only UDP to our address and port; everything else is never copied.
// The sockets ask for IPv4 only and for no device in particular: such a socket sees a packet once, where IP would see
// it, behind bridges, bonds and VLANs, and never one that the host sends.
//
// Fragments: the fanout group puts them together before the filter runs (PACKET_FANOUT_FLAG_DEFRAG); a packet that is
// still a fragment then is not ours to take.
#include "packet-socket.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/socket.h>

#include <cstring>
#include <vector>

#include "errno.h"
#include "fd.h"
#include "options.h"
#include "packet.h"

#ifndef PACKET_FANOUT_FLAG_UNIQUEID
#define PACKET_FANOUT_FLAG_UNIQUEID 0x2000
#endif

namespace vtepd {

namespace {

constexpr int64_t MAX_SOCKETS = 256;

struct PacketOptions {
  std::vector<uint8_t> address;
  uint16_t port = 0;
  std::string device;
  bool is_group = false;
  int64_t count = 1;
  int receive_buffer = 0;
};

bool ReadOptions(const Napi::CallbackInfo& info, PacketOptions& packet) {
  Options options(info, "openPacketSockets");
  packet.address = options.Bytes("address").value_or(std::vector<uint8_t>());
  if (packet.address.size() != 4) options.Refuse("address", "4 bytes");
  packet.port = static_cast<uint16_t>(options.RequiredInteger("port", 1, UINT16_MAX));
  packet.device = options.Text("device", IFNAMSIZ - 1).value_or("");
  packet.is_group = options.RequiredBoolean("isGroup");
  packet.count = options.RequiredInteger("count", 1, MAX_SOCKETS);
  packet.receive_buffer = static_cast<int>(options.RequiredInteger("receiveBuffer", 1, INT32_MAX / 2));
  return !options.Failed();
}

// Ethernet devices, packets for this host or a group, IPv4 UDP to the address and port, whole. A jump counts
// instructions.
SystemError AttachFilter(int fd, const PacketOptions& options) {
  constexpr uint32_t IP = ETHERNET;
  constexpr uint32_t ANCILLARY = static_cast<uint32_t>(SKF_AD_OFF);
  const uint32_t kind = options.is_group ? PACKET_MULTICAST : PACKET_HOST;
  constexpr uint32_t FRAGMENT_BITS = 0x3fff;  // More fragments, and the offset.
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ANCILLARY + SKF_AD_PKTTYPE),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kind, 0, 12),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ANCILLARY + SKF_AD_HATYPE),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARPHRD_ETHER, 0, 10),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IP + IPV4_PROTOCOL),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROTOCOL_UDP, 0, 8),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, IP + IPV4_ADDRESSES + 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, Big32(options.address.data()), 0, 6),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, IP + IPV4_FRAGMENT),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FRAGMENT_BITS, 4, 0),
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, IP),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, IP + 2),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, options.port, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0) return {};
  return LastError("setsockopt(SO_ATTACH_FILTER)");
}

SystemError SetOption(int fd, int level, int option, const char* name, int value) {
  if (setsockopt(fd, level, option, &value, sizeof(value)) == 0) return {};
  return LastError(std::string("setsockopt(") + name + ")");
}

SystemError Bind(int fd, const std::string& device) {
  sockaddr_ll address{};
  if (!device.empty()) {
    address.sll_ifindex = static_cast<int>(if_nametoindex(device.c_str()));
    if (address.sll_ifindex == 0) return LastError("if_nametoindex", device);
  }
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_IP);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return {};
  return LastError("bind", "packet socket");
}

// The first socket (group below 0) founds a group and tells its id; the others join it.
SystemError JoinGroup(int fd, int32_t& group) {
  uint32_t mode = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_DEFRAG;
  if (group < 0) mode |= PACKET_FANOUT_FLAG_UNIQUEID;
  const uint32_t value = (group < 0 ? 0 : static_cast<uint32_t>(group)) | mode << 16;
  if (SystemError error = SetOption(fd, SOL_PACKET, PACKET_FANOUT, "PACKET_FANOUT", static_cast<int>(value))) {
    return error;
  }
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
  if (SystemError error = AttachFilter(fd.Get(), options)) return error;
  if (SystemError error = SetOption(fd.Get(), SOL_PACKET, PACKET_VNET_HDR, "PACKET_VNET_HDR", 1)) return error;
  if (SystemError error = SetOption(fd.Get(), SOL_SOCKET, SO_RXQ_OVFL, "SO_RXQ_OVFL", 1)) return error;
  // As far as the host's limit goes where the forced variant is not allowed.
  if (SetOption(fd.Get(), SOL_SOCKET, SO_RCVBUFFORCE, "SO_RCVBUFFORCE", options.receive_buffer)) {
    if (SystemError error = SetOption(fd.Get(), SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF", options.receive_buffer)) {
      return error;
    }
  }
  if (SystemError error = Bind(fd.Get(), options.device)) return error;
  return JoinGroup(fd.Get(), group);
}

}  // namespace

Napi::Value OpenPacketSockets(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  PacketOptions options;
  if (!ReadOptions(info, options)) return env.Undefined();
  std::vector<Fd> sockets(static_cast<size_t>(options.count));
  int32_t group = -1;
  for (Fd& fd : sockets) {
    if (const SystemError error = MakeSocket(options, group, fd)) {
      Throw(env, error);
      return env.Undefined();
    }
  }
  const Napi::Array fds = Napi::Array::New(env, sockets.size());
  for (uint32_t i = 0; i < sockets.size(); i++) fds.Set(i, Napi::Number::New(env, sockets[i].Release()));
  return fds;
}

}  // namespace vtepd
