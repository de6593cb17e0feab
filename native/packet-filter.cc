// How it works
//
// Classic BPF. Register X is where the IP header begins, 14 or 0 bytes into the packet by the device's type, and moves
// on past what precedes the header that is looked at. (The kernel's own way to name the network header, SKF_NET_OFF,
// reads only what lies in a packet's first piece of memory, and of a packet that no GRO function has touched that may
// be the Ethernet header alone: virtio-net hands over large packets so.)
//
// Linux puts one destination-options header of 8 bytes between IPv6 and what a tunnel carries (the encapsulation limit,
// RFC 2473); it is skipped. Fragments over IPv6, behind such options or without them, are taken when they say that they
// are of the protocol (fragments.h). Other extension headers are left out: such a packet is IP's.
#include "packet-filter.h"

#include <linux/if_packet.h>

#include <initializer_list>

namespace vtepd {

namespace {

// Straight code, in which everything that is not as required leads to "keep nothing".
class Program {
 public:
  void Add(uint16_t code, uint32_t k) { code_.push_back(BPF_STMT(code, k)); }

  // Into register A: from X on, or what the kernel knows of the packet.
  void Load8(uint32_t offset) { Add(BPF_LD | BPF_B | BPF_IND, offset); }
  void Load16(uint32_t offset) { Add(BPF_LD | BPF_H | BPF_IND, offset); }
  void Load32(uint32_t offset) { Add(BPF_LD | BPF_W | BPF_IND, offset); }
  void LoadAbout(int what) { Add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(SKF_AD_OFF + what)); }

  void SetX(uint32_t value) { Add(BPF_LDX | BPF_W | BPF_IMM, value); }
  void MoveXByA() {
    Add(BPF_ALU | BPF_ADD | BPF_X, 0);
    Add(BPF_MISC | BPF_TAX, 0);
  }
  void MoveX(uint32_t bytes) {
    Add(BPF_LD | BPF_W | BPF_IMM, bytes);
    MoveXByA();
  }

  // What `otherwise` adds is done when A is not the value.
  template <typename Otherwise>
  void Unless(uint32_t value, Otherwise otherwise) {
    const size_t jump = code_.size();
    Add(BPF_JMP | BPF_JEQ | BPF_K, value);
    otherwise();
    code_[jump].jt = static_cast<uint8_t>(code_.size() - jump - 1);
  }
  void Require(uint32_t value) {
    Unless(value, [this] { Reject(); });
  }
  void RequireEither(uint32_t value, uint32_t other) {
    Unless(value, [&] { Require(other); });
  }
  void Refuse(uint32_t value) {
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    Reject();
  }
  // Of A's bits.
  void RequireNoneOf(uint32_t bits) {
    Add(BPF_ALU | BPF_AND | BPF_K, bits);
    Require(0);
  }
  void Reject() { Add(BPF_RET | BPF_K, 0); }
  void Accept() { Add(BPF_RET | BPF_K, UINT32_MAX); }

  std::vector<sock_filter> Finish() {
    Accept();
    return code_;
  }

 private:
  std::vector<sock_filter> code_;
};

// Packets for this host, or for a group: a device without link layer has no word for the latter. Not what the host
// itself sends to the group, which comes by a second time.
void RequireReceived(Program& program, bool is_group) {
  program.LoadAbout(SKF_AD_PKTTYPE);
  if (is_group) {
    program.RequireEither(PACKET_MULTICAST, PACKET_HOST);
  } else {
    program.Require(PACKET_HOST);
  }
}

void FindIpHeader(Program& program) {
  program.LoadAbout(SKF_AD_HATYPE);
  program.SetX(ETHERNET);
  const auto expect_none = [&program] {
    program.SetX(0);
    // TUN, WireGuard and their like; modems; PPP.
    program.Unless(ARPHRD_NONE, [&] { program.RequireEither(ARPHRD_RAWIP, ARPHRD_PPP); });
  };
  program.Unless(ARPHRD_ETHER, [&] { program.Unless(ARPHRD_LOOPBACK, expect_none); });
}

// Ends with X at the header behind.
void RequireIpv4(Program& program, const PacketSelection& selection) {
  program.Load8(IPV4_PROTOCOL);
  program.Require(selection.protocol);
  program.Load32(IPV4_ADDRESSES + 4);
  program.Require(Big32(selection.address.data()));
  program.Load16(IPV4_FRAGMENT);
  program.RequireNoneOf(0x3fff);  // More fragments, and the offset.
  program.Load8(0);
  program.Add(BPF_ALU | BPF_AND | BPF_K, 15);
  program.Add(BPF_ALU | BPF_LSH | BPF_K, 2);
  program.MoveXByA();
}

// With the kind of an extension header in A, and that header IPV6 bytes behind X. Of UDP only a first fragment would
// have the port, and sockets take such datagrams anyway.
void TakeFragment(Program& program, const PacketSelection& selection) {
  if (selection.protocol == PROTOCOL_UDP) return program.Reject();
  program.Require(FRAGMENT);
  program.Load8(IPV6);
  program.Require(selection.protocol);
  program.Accept();
}

// The same.
void RequireIpv6(Program& program, const PacketSelection& selection) {
  for (uint32_t i = 0; i < 16; i += 4) {
    program.Load32(IPV6_ADDRESSES + 16 + i);
    program.Require(Big32(selection.address.data() + i));
  }
  program.Load8(IPV6_NEXT_HEADER);
  program.Unless(selection.protocol, [&] {
    program.Unless(FRAGMENT, [&] {
      program.Require(DESTINATION_OPTIONS);
      program.Load8(IPV6 + 1);
      program.Require(0);  // Eight bytes.
      program.MoveX(IPV6_OPTIONS);
      program.Load8(IPV6 - IPV6_OPTIONS);
    });
    program.Unless(selection.protocol, [&] { TakeFragment(program, selection); });
  });
  program.MoveX(IPV6);
}

}  // namespace

std::vector<sock_filter> MakePacketFilter(const PacketSelection& selection) {
  Program program;
  RequireReceived(program, selection.is_group);
  FindIpHeader(program);
  if (selection.IsIpv6()) {
    RequireIpv6(program, selection);
  } else {
    RequireIpv4(program, selection);
  }
  if (selection.protocol == PROTOCOL_UDP) {
    program.Load16(2);
    program.Require(selection.port);
    if (selection.IsIpv6() && !selection.accept_zero_checksum6) {
      program.Load16(UDP_CHECKSUM);
      program.Refuse(0);
    }
  }
  return program.Finish();
}

}  // namespace vtepd
