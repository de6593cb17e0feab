// How it works
//
// In UDP: the vnet header of 24 bytes (struct virtio_net_hdr_v1_hash_tunnel) says where the inner headers are, and that
// the outer ones are a UDP tunnel. The frame goes out with whatever the overlay's stack left undone: an inner checksum
// is completed, and a superframe cut, by the kernel on the way out or by the network card. So nothing of the payload is
// touched here, with one exception: a frame whose inner checksum is complete needs an outer UDP checksum over all of
// it. Where the inner checksum is open, the bytes it covers sum to the complement of what the field holds now ("local
// checksum offload"), and only the headers before it are added up.
//
// In GRE, IPIP and SIT there is no outer checksum, and no word in the vnet header for what is around the superframe:
// a program on the device tells the kernel (tunnel-program.cc), by what is left for it in the Ethernet source address.
//
// The identification counts up with each packet, by as many as a superframe becomes: DF is clear, so a router may cut
// what is too big, and pieces of two packets must not be put together (RFC 6864).
#include "uplink.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "checksum.h"
#include "tunnel-program.h"

namespace vtepd {

namespace {

// Bytes, and byte offsets in the outer headers.
constexpr uint32_t ETHERNET = 14;
constexpr uint32_t SOURCE_MAC = 6;
constexpr uint32_t IPV4 = ETHERNET;
constexpr uint32_t IPV4_TOS = IPV4 + 1;
constexpr uint32_t IPV4_TTL = IPV4 + 8;
constexpr uint32_t IPV4_TOTAL_LENGTH = IPV4 + 2;
constexpr uint32_t IPV4_IDENTIFICATION = IPV4 + 4;
constexpr uint32_t IPV4_FLAGS = IPV4 + 6;
constexpr uint32_t IPV4_PROTOCOL = IPV4 + 9;
constexpr uint32_t IPV4_CHECKSUM = IPV4 + 10;
constexpr uint32_t IPV4_SOURCE = IPV4 + 12;
constexpr uint32_t IPV4_BYTES = 20;
constexpr uint32_t UDP = IPV4 + IPV4_BYTES;
constexpr uint32_t OUTER_UDP_LENGTH = UDP + 4;
constexpr uint32_t OUTER_UDP_CHECKSUM = UDP + 6;
constexpr uint32_t UDP_BYTES = 8;
constexpr uint32_t MAX_OUTER = 64;
constexpr uint32_t MAX_TOTAL_LENGTH = 65535;
constexpr uint8_t PROTOCOL_UDP = 17;
constexpr uint8_t PROTOCOL_GRE = 47;

// The last quarter of the ports, 49152 to 65535, is what RFC 7348 section 5 asks for.
constexpr uint32_t FIRST_SOURCE_PORT = 0xc000;
constexpr uint32_t SOURCE_PORT_MASK = 0x3fff;

// virtio_net_hdr.flags, gso_type.
constexpr uint8_t NEEDS_CSUM = 1;
constexpr uint8_t UDP_TUNNEL_CSUM = 8;
constexpr uint8_t GSO_UDP_TUNNEL_IPV4 = 0x20;
constexpr uint8_t GSO_ECN = 0x80;
constexpr uint32_t TCP_FLAGS = 13;
constexpr uint8_t TCP_CWR = 0x80;

void Store16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

uint16_t LoadSum(const uint8_t* at) {
  uint16_t sum;
  memcpy(&sum, at, sizeof(sum));
  return sum;
}

void StoreSum(uint8_t* at, uint16_t sum) {
  memcpy(at, &sum, sizeof(sum));
}

// A sum that stays in 32 bits whatever is added next.
uint32_t Fold(uint32_t sum) {
  return (sum & 0xffff) + (sum >> 16);
}

// Pseudo-header: addresses, protocol, UDP length.
uint16_t PseudoSum(const uint8_t* outer) {
  const uint8_t tail[4] = {0, PROTOCOL_UDP, outer[OUTER_UDP_LENGTH], outer[OUTER_UDP_LENGTH + 1]};
  return FoldSum(AddBytes(tail, sizeof(tail), Fold(AddBytes(outer + IPV4_SOURCE, 8, 0))));
}

// `open_from`: where the bytes begin that an open inner checksum covers; the frame's end when there is none.
uint16_t OuterChecksum(const uint8_t* outer, uint32_t outer_length, Bytes frame, uint32_t open_from,
                       uint16_t open_sum) {
  uint32_t sum = Fold(AddBytes(outer + UDP, outer_length - UDP, PseudoSum(outer)));
  sum = Fold(AddBytes(frame.data, open_from, sum)) + open_sum;
  const uint16_t checksum = static_cast<uint16_t>(~FoldSum(sum));
  return checksum == 0 ? 0xffff : checksum;  // Zero would mean none.
}

// What the overlay's stack left undone, in `vnet`. False when the descriptor contradicts the frame.
bool DescribeFrame(const abi::Frame& frame, Bytes bytes, uint32_t outer_length, abi::TunnelVnetHeader& vnet) {
  const uint32_t gso = static_cast<uint32_t>(Memory::Load(frame.gso));
  if ((Memory::Load(frame.flags) & abi::FLAG_PARTIAL_CSUM) == 0) return gso == 0;
  const uint32_t csum = static_cast<uint32_t>(Memory::Load(frame.csum));
  const uint32_t start = csum & 0xffff;
  const uint32_t field = start + (csum >> 16);
  // Sums go by pairs of bytes: from an odd place on, they would be swapped.
  if (field + 2 > bytes.length || start % 2 != 0) return false;
  vnet.flags = NEEDS_CSUM;
  vnet.csum_start = static_cast<uint16_t>(outer_length + start);
  vnet.csum_offset = static_cast<uint16_t>(csum >> 16);
  if (gso == 0) return true;
  const uint32_t headers = static_cast<uint32_t>(Memory::Load(frame.headers));
  if (headers == 0 || (headers & 0xffff) > bytes.length) return false;
  vnet.gso_type = static_cast<uint8_t>(gso >> 16);
  if (vnet.gso_type != abi::GSO_UDP_L4 && field + 2 > start + TCP_FLAGS &&
      (bytes.data[start + TCP_FLAGS] & TCP_CWR) != 0) {
    vnet.gso_type |= GSO_ECN;
  }
  vnet.gso_size = static_cast<uint16_t>(gso);
  vnet.hdr_len = static_cast<uint16_t>(outer_length + (headers & 0xffff));
  return true;
}

// Goes on to the outer UDP header.
void DescribeInUdp(const abi::Frame& frame, Bytes bytes, uint8_t* outer, uint32_t outer_length,
                   abi::TunnelVnetHeader& vnet) {
  if (vnet.gso_type == 0) {
    const bool is_open = vnet.flags != 0;
    const uint32_t open_from = is_open ? vnet.csum_start - outer_length : bytes.length;
    const uint16_t open_sum = is_open ? static_cast<uint16_t>(~LoadSum(bytes.data + open_from + vnet.csum_offset)) : 0;
    StoreSum(outer + OUTER_UDP_CHECKSUM, OuterChecksum(outer, outer_length, bytes, open_from, open_sum));
    return;
  }
  vnet.flags |= UDP_TUNNEL_CSUM;
  vnet.gso_type |= GSO_UDP_TUNNEL_IPV4;
  vnet.outer_th_offset = UDP;
  const uint32_t inner_ip = static_cast<uint32_t>(Memory::Load(frame.headers)) >> 16;
  vnet.inner_nh_offset = static_cast<uint16_t>(outer_length + inner_ip);
  StoreSum(outer + OUTER_UDP_CHECKSUM, PseudoSum(outer));
}

// The device's program does the rest. False when the headers are longer than it takes.
bool DescribeInIp(const abi::Frame& frame, uint8_t* outer, uint32_t outer_length) {
  const uint32_t inner_ip = static_cast<uint32_t>(Memory::Load(frame.headers)) >> 16;
  const uint32_t header_bytes = outer_length - ETHERNET + inner_ip;
  if (header_bytes > MAX_TUNNEL_HEADER) return false;
  TunnelHint hint{
      LOCAL_ADDRESS, static_cast<uint8_t>(header_bytes), static_cast<uint8_t>(inner_ip), ENCAPSULATED_IN_IPV4, 0, 0};
  if (outer[IPV4_PROTOCOL] == PROTOCOL_GRE) hint.encapsulation |= ENCAPSULATED_IN_GRE;
  if (inner_ip != 0) hint.encapsulation |= ENCAPSULATED_ETHERNET;
  if (inner_ip == 0 && (Memory::Load(frame.flags) & abi::FLAG_IPV6) != 0) hint.inner_ipv6 = 1;
  memcpy(outer + SOURCE_MAC, &hint, sizeof(hint));
  return true;
}

int32_t Write(const Port& port, const iovec* pieces, int count, PortState& state) {
  int64_t written;
  do {
    // Not libc's writev, which is a cancellation point; see tap-queue.cc.
    written = syscall(SYS_writev, port.fd, pieces, count);
  } while (written < 0 && errno == EINTR);
  if (written >= 0) return 0;
  // EIO: the device is down. Whoever set it down may set it up again; frames are lost meanwhile, and counted.
  if (errno == EBADFD || errno == ENODEV || errno == ENXIO) state = PortState::kGone;
  return errno;
}

}  // namespace

int32_t WriteEncapsulated(Port& port, const abi::Frame& frame, Bytes bytes, Bytes outer, int32_t fields,
                          PortState& state) {
  if (outer.data == nullptr || outer.length < UDP || outer.length > MAX_OUTER || outer.length % 2 != 0) return EINVAL;
  const bool is_udp = outer.data[IPV4_PROTOCOL] == PROTOCOL_UDP;
  if (is_udp && outer.length < UDP + UDP_BYTES) return EINVAL;
  const uint32_t total_length = outer.length - ETHERNET + bytes.length;
  if (total_length > MAX_TOTAL_LENGTH) return EMSGSIZE;
  uint8_t headers[MAX_OUTER];
  memcpy(headers, outer.data, outer.length);
  Store16(headers + IPV4_TOTAL_LENGTH, total_length);
  if ((fields & abi::OUTER_TOS) != 0) headers[IPV4_TOS] = static_cast<uint8_t>(fields);
  if ((fields & abi::OUTER_DF) != 0) headers[IPV4_FLAGS] = 0x40;
  // One more for the hop from here to the underlay; what has none left goes no further than that.
  const uint32_t ttl = static_cast<uint32_t>(fields) >> 8 & 255;
  if ((fields & abi::OUTER_TTL) != 0) headers[IPV4_TTL] = static_cast<uint8_t>(ttl == 255 ? ttl : ttl + 1);
  Store16(headers + IPV4_IDENTIFICATION, port.identification);
  port.identification = static_cast<uint16_t>(port.identification + Memory::Load(frame.segments));
  StoreSum(headers + IPV4_CHECKSUM, 0);
  StoreSum(headers + IPV4_CHECKSUM, static_cast<uint16_t>(~FoldSum(AddBytes(headers + IPV4, IPV4_BYTES, 0))));
  abi::TunnelVnetHeader vnet{};
  if (!DescribeFrame(frame, bytes, outer.length, vnet)) return EINVAL;
  if (is_udp) {
    const uint32_t entropy = static_cast<uint32_t>(Memory::Load(frame.flow_hash)) & SOURCE_PORT_MASK;
    Store16(headers + UDP, FIRST_SOURCE_PORT | entropy);
    Store16(headers + OUTER_UDP_LENGTH, total_length - IPV4_BYTES);
    StoreSum(headers + OUTER_UDP_CHECKSUM, 0);
    DescribeInUdp(frame, bytes, headers, outer.length, vnet);
  } else if (vnet.gso_type != 0 && !DescribeInIp(frame, headers, outer.length)) {
    return EINVAL;
  }
  const iovec pieces[3] = {{&vnet, sizeof(vnet)}, {headers, outer.length}, {bytes.data, bytes.length}};
  return Write(port, pieces, 3, state);
}

}  // namespace vtepd
