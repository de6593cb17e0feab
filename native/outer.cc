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

// What the kernel knows of the frame, offsets from the Ethernet header.
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

bool HasRightChecksum(const uint8_t* ip, const uint8_t* udp, uint32_t udp_length) {
  const uint32_t pseudo =
      FoldSum(AddBytes(ip + IPV4_ADDRESSES, 8, 0)) + htobe16(PROTOCOL_UDP) + htobe16(static_cast<uint16_t>(udp_length));
  return FoldSum(AddBytes(udp, udp_length, pseudo)) == 0xffff;
}

}  // namespace

bool ReadOuter(const uint8_t* message, uint32_t length, Outer& outer) {
  constexpr uint32_t IP = PACKET_VNET_HEADER + ETHERNET;
  if (length < IP + IPV4) return false;
  const uint8_t* const ip = message + IP;
  const uint32_t ip_header = (ip[0] & 15) * 4U;
  const uint32_t ip_length = Big16(ip + IPV4_TOTAL_LENGTH);
  if (ip[0] >> 4 != 4 || ip_header < IPV4 || ip_length < ip_header + UDP || IP + ip_length > length) return false;
  if (ip[IPV4_PROTOCOL] != PROTOCOL_UDP) return false;
  const uint8_t* const udp = ip + ip_header;
  const uint32_t udp_length = Big16(udp + UDP_LENGTH);
  if (udp_length < UDP || ip_header + udp_length > ip_length) return false;

  outer.offset = IP + ip_header + UDP;
  outer.length = udp_length - UDP;
  outer.segment_size = UINT32_MAX;
  memcpy(outer.source, ip + IPV4_ADDRESSES, sizeof(outer.source));
  memcpy(outer.destination, ip + IPV4_ADDRESSES + 4, sizeof(outer.destination));
  outer.source_port = Big16(udp);
  outer.tos = ip[1];
  outer.inner_gso_type = 0;
  outer.inner_gso_size = 0;

  const Vnet vnet = ReadVnet(message);
  const bool is_unfinished = (vnet.flags & NEEDS_CSUM) != 0;
  // A sender on this host left the checksum to a device (of the outer datagram, or of what is inside, the outer one
  // being right), or a device or GRO has checked it. A datagram may have none.
  const bool is_vouched_for = is_unfinished || (vnet.flags & DATA_VALID) != 0 || Load16(udp + UDP_CHECKSUM) == 0;
  outer.is_corrupt = !is_vouched_for && !HasRightChecksum(ip, udp, udp_length);
  if (vnet.gso_type == 0 || vnet.gso_size == 0) return true;
  // Segments of what: the checksum to be finished tells.
  if (is_unfinished && vnet.csum_start > ETHERNET + ip_header) {
    outer.inner_gso_type = vnet.gso_type;
    outer.inner_gso_size = vnet.gso_size;
  } else if (vnet.gso_type == abi::GSO_UDP_L4) {
    outer.segment_size = vnet.gso_size;
  }
  return true;
}

}  // namespace vtepd
