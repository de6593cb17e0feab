#include "outer.h"

#include <algorithm>
#include <cstring>

#include "abi.h"
#include "checksum.h"
#include "packet.h"

namespace vtepd {

namespace {

// virtio_net_hdr flags and gso_type bits.
constexpr uint8_t NEEDS_CSUM = 1;
constexpr uint8_t DATA_VALID = 2;
constexpr uint8_t GSO_ECN = 0x80;
constexpr uint8_t GSO_ACCECN = 0x10;

// What the kernel knows of the frame, offsets from what follows.
struct Vnet {
  uint8_t flags;
  uint8_t gso_type;
  uint16_t gso_size;
  uint16_t csum_start;
};

Vnet ReadVnet(const uint8_t* header) {
  const uint8_t type = header[1] & static_cast<uint8_t>(~(GSO_ECN | GSO_ACCECN));
  return {header[0], type, Load16(header + 4), Load16(header + 6)};
}

// What stands behind the IP header and its extensions.
struct Carried {
  uint32_t offset;  // From the IP header.
  uint32_t length;
  uint8_t protocol;
  uint32_t address_sum;  // For the pseudo-header.
};

void MapIpv4(const uint8_t* address, uint8_t* out) {
  memset(out, 0, 10);
  memset(out + 10, 0xff, 2);
  memcpy(out + 12, address, 4);
}

// The kernel checks the header's checksum behind us, in ip_rcv; before us only where it has merged.
bool ReadIpv4(const uint8_t* ip, uint32_t room, Outer& outer, Carried& carried) {
  if (room < IPV4) return false;
  const uint32_t header = (ip[0] & 15) * 4U;
  const uint32_t total = Big16(ip + IPV4_TOTAL_LENGTH);
  if (header < IPV4 || total < header || total > room) return false;
  MapIpv4(ip + IPV4_ADDRESSES, outer.source);
  MapIpv4(ip + IPV4_ADDRESSES + 4, outer.destination);
  outer.tos = ip[1];
  outer.is_corrupt = FoldSum(AddBytes(ip, header, 0)) != 0xffff;
  carried = {header, total - header, ip[IPV4_PROTOCOL], AddBytes(ip + IPV4_ADDRESSES, 8, 0)};
  return true;
}

bool IsMapped(const uint8_t* address) {
  constexpr uint8_t PREFIX[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return memcmp(address, PREFIX, sizeof(PREFIX)) == 0;
}

bool ReadIpv6(const uint8_t* ip, uint32_t room, Outer& outer, Carried& carried) {
  if (room < IPV6) return false;
  const uint32_t length = Big16(ip + IPV6_PAYLOAD_LENGTH);
  if (length > room - IPV6) return false;
  // A mapped address would mean an IPv4 VTEP here: it stays no address at all.
  if (!IsMapped(ip + IPV6_ADDRESSES)) memcpy(outer.source, ip + IPV6_ADDRESSES, sizeof(outer.source));
  memcpy(outer.destination, ip + IPV6_ADDRESSES + 16, sizeof(outer.destination));
  outer.tos = static_cast<uint8_t>((ip[0] & 15) << 4 | ip[1] >> 4);
  carried = {IPV6, length, ip[IPV6_NEXT_HEADER], AddBytes(ip + IPV6_ADDRESSES, 32, 0)};
  if (carried.protocol == FRAGMENT) return false;
  if (carried.protocol != DESTINATION_OPTIONS) return true;
  if (length < IPV6_OPTIONS || ip[IPV6 + 1] != 0 || ip[IPV6] == FRAGMENT) return false;
  carried.offset += IPV6_OPTIONS;
  carried.length -= IPV6_OPTIONS;
  carried.protocol = ip[IPV6];
  return true;
}

bool HasRightChecksum(const uint8_t* udp, uint32_t length, uint32_t address_sum) {
  const uint32_t pseudo = FoldSum(address_sum) + htobe16(PROTOCOL_UDP) + htobe16(static_cast<uint16_t>(length));
  return FoldSum(AddBytes(udp, length, pseudo)) == 0xffff;
}

// Goes on behind the UDP header. A datagram may have no checksum: whether that is allowed over IPv6 is for the socket's
// filter to say.
bool ReadUdp(const uint8_t* udp, Carried& carried, Outer& outer) {
  if (carried.length < UDP) return false;
  const uint32_t length = Big16(udp + UDP_LENGTH);
  if (length < UDP || length > carried.length) return false;
  outer.source_port = Big16(udp);
  if (!outer.is_vouched_for && Load16(udp + UDP_CHECKSUM) != 0) {
    outer.is_corrupt |= !HasRightChecksum(udp, length, carried.address_sum);
  }
  carried.offset += UDP;
  carried.length = length - UDP;
  return true;
}

}  // namespace

bool ReadOuter(const uint8_t* message, uint32_t length, uint32_t link_header, Outer& outer) {
  const uint32_t ip_offset = PACKET_VNET_HEADER + link_header;
  if (length < ip_offset + 1) return false;
  const uint8_t* const ip = message + ip_offset;
  memset(&outer, 0, sizeof(outer));
  outer.segment_size = UINT32_MAX;
  // A sender on this host left the checksum to a device (of the outer datagram, or of what is inside, the outer one
  // being right), or a device or GRO has checked it.
  const Vnet vnet = ReadVnet(message);
  const bool is_unfinished = (vnet.flags & NEEDS_CSUM) != 0;
  outer.is_vouched_for = is_unfinished || (vnet.flags & DATA_VALID) != 0;

  Carried carried;
  const uint32_t room = length - ip_offset;
  if (ip[0] >> 4 == 4) {
    if (!ReadIpv4(ip, room, outer, carried)) return false;
  } else if (ip[0] >> 4 != 6 || !ReadIpv6(ip, room, outer, carried)) {
    return false;
  }
  const bool is_udp = carried.protocol == PROTOCOL_UDP;
  if (is_udp && !ReadUdp(ip + carried.offset, carried, outer)) return false;
  outer.offset = ip_offset + carried.offset;
  outer.length = carried.length;

  if (vnet.gso_type == 0 || vnet.gso_size == 0) return true;
  // Segments of what: the checksum to be finished tells.
  if (is_unfinished && vnet.csum_start >= outer.offset - PACKET_VNET_HEADER) {
    outer.inner_gso_type = vnet.gso_type;
    outer.inner_gso_size = vnet.gso_size;
  } else if (is_udp && vnet.gso_type == abi::GSO_UDP_L4) {
    outer.segment_size = vnet.gso_size;
  }
  return true;
}

}  // namespace vtepd
