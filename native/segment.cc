#include "segment.h"

#include <cstring>

#include "checksum.h"
#include "packet.h"

namespace vtepd {

namespace {

// Two bits of virtio_net_hdr.gso_type beside the type. The first says that CWR stands for the first segment only, which
// holds without it too; the second that it stands for all (Accurate ECN).
constexpr uint8_t GSO_ECN = 0x80;
constexpr uint8_t GSO_ACCECN = 0x10;

void StoreBig32(uint8_t* p, uint32_t value) {
  value = htobe32(value);
  memcpy(p, &value, sizeof(value));
}

// A length as it lies in the packet.
uint16_t BigLength(uint32_t length) {
  return htobe16(static_cast<uint16_t>(length));
}

// The IP packet in the superframe; offsets are bytes from the frame's start.
struct Packet {
  uint32_t ip;
  uint32_t l4;
  uint32_t end;  // As the IP header says.
  uint8_t protocol;
  bool is_ipv6;
  bool has_extensions;
};

bool ReadIpv4(const Superframe& superframe, Packet& packet) {
  if (packet.ip + IPV4 > superframe.length) return false;
  const uint8_t* header = superframe.data + packet.ip;
  const uint32_t header_length = (header[0] & 15) * 4U;
  if (header[0] >> 4 != 4 || header_length < IPV4) return false;
  if ((Big16(header + IPV4_FRAGMENT) & 0x3fff) != 0) return false;  // More fragments, or an offset.
  packet.l4 = packet.ip + header_length;
  packet.end = packet.ip + Big16(header + IPV4_TOTAL_LENGTH);
  packet.protocol = header[IPV4_PROTOCOL];
  return packet.l4 <= packet.end;
}

// Any kind of header but the three that are copied ends the search: a fragment, or what cannot be split either.
bool ReadIpv6(const Superframe& superframe, Packet& packet) {
  if (packet.ip + IPV6 > superframe.length) return false;
  const uint8_t* header = superframe.data + packet.ip;
  if (header[0] >> 4 != 6) return false;
  packet.is_ipv6 = true;
  packet.l4 = packet.ip + IPV6;
  packet.end = packet.l4 + Big16(header + IPV6_PAYLOAD_LENGTH);
  packet.protocol = header[IPV6_NEXT_HEADER];
  while (packet.protocol == HOP_BY_HOP || packet.protocol == ROUTING || packet.protocol == DESTINATION_OPTIONS) {
    if (packet.l4 + 8 > superframe.length || packet.l4 > MAX_SEGMENT_HEADER) return false;
    packet.has_extensions = true;
    packet.protocol = superframe.data[packet.l4];
    packet.l4 += (superframe.data[packet.l4 + 1] + 1U) * 8U;
  }
  return packet.l4 <= packet.end;
}

// The packet fills the frame: a superframe is too long for Ethernet padding, so anything behind would be a
// contradiction.
bool ReadPacket(const Superframe& superframe, Packet& packet) {
  packet = {};
  const bool is_ip_packet = superframe.kind == FrameKind::kIpPacket;
  uint32_t offset = is_ip_packet ? 0 : ETHERNET;
  if (offset >= superframe.length) return false;
  uint16_t type = is_ip_packet ? TypeOfIpPacket(superframe.data) : Big16(superframe.data + offset - 2);
  for (int i = 0; i < MAX_VLAN_TAGS && (type == TYPE_8021Q || type == TYPE_8021AD); i++) {
    offset += VLAN_TAG;
    if (offset > superframe.length) return false;
    type = Big16(superframe.data + offset - 2);
  }
  packet.ip = offset;
  if (type == TYPE_IPV4) return ReadIpv4(superframe, packet) && packet.end == superframe.length;
  if (type == TYPE_IPV6) return ReadIpv6(superframe, packet) && packet.end == superframe.length;
  return false;
}

bool IsOfType(const Packet& packet, uint8_t gso_type) {
  switch (gso_type & ~(GSO_ECN | GSO_ACCECN)) {
    case abi::GSO_TCPV4:
      return packet.protocol == PROTOCOL_TCP && !packet.is_ipv6;
    case abi::GSO_TCPV6:
      return packet.protocol == PROTOCOL_TCP && packet.is_ipv6;
    case abi::GSO_UDP_L4:
      return packet.protocol == PROTOCOL_UDP;
    default:
      return false;
  }
}

// Bytes of the TCP or UDP header; 0 when it is not whole or not one of a superframe.
uint32_t TransportHeaderLength(const uint8_t* l4, uint32_t l4_length, bool is_udp) {
  if (is_udp) return l4_length >= UDP && Big16(l4 + UDP_LENGTH) == l4_length ? UDP : 0;
  if (l4_length < TCP || (l4[TCP_FLAGS] & (SYN | RST | URG)) != 0) return 0;
  const uint32_t header_length = (l4[TCP_DATA_OFFSET] >> 4) * 4U;
  return header_length >= TCP && header_length <= l4_length ? header_length : 0;
}

// With IPv6 extension headers, the addresses of the pseudo-header may be others than those in the IP header (a routing
// header, a home address option). The sender knew: its sum stands in the checksum field, for the whole length.
uint32_t PseudoHeaderSum(const uint8_t* data, const Packet& packet, const uint8_t* field) {
  if (packet.has_extensions) return Load16(field) + static_cast<uint16_t>(~BigLength(packet.end - packet.l4));
  const uint32_t sum = htobe16(packet.protocol);
  if (packet.is_ipv6) return AddBytes(data + packet.ip + IPV6_ADDRESSES, 32, sum);
  return AddBytes(data + packet.ip + IPV4_ADDRESSES, 8, sum);
}

uint16_t Ipv4Sum(const uint8_t* header, uint32_t length) {
  const uint32_t sum = Load16(header) + Load16(header + IPV4_FRAGMENT) + Load16(header + IPV4_FRAGMENT + 2);
  return FoldSum(AddBytes(header + IPV4_ADDRESSES, length - IPV4_ADDRESSES, sum));
}

uint16_t TransportSum(const uint8_t* data, const Packet& packet, uint32_t header_length, bool is_udp) {
  const uint8_t* l4 = data + packet.l4;
  const uint32_t pseudo = PseudoHeaderSum(data, packet, l4 + (is_udp ? UDP_CHECKSUM : TCP_CHECKSUM));
  const uint32_t ports = AddBytes(l4, TCP_SEQUENCE, FoldSum(pseudo));
  if (is_udp) return FoldSum(ports);
  const uint32_t sum = FoldSum(ports) + Load16(l4 + TCP_WINDOW);
  return FoldSum(AddBytes(l4 + TCP_URGENT, header_length - TCP_URGENT, AddBytes(l4 + TCP_ACKNOWLEDGEMENT, 4, sum)));
}

void WriteIpv4(const SegmentPlan& plan, uint32_t segment, uint32_t length, uint8_t* header) {
  const uint16_t total_length = BigLength(length);
  const uint16_t id = BigLength(Big16(header + IPV4_ID) + segment);
  Store16(header + IPV4_TOTAL_LENGTH, total_length);
  Store16(header + IPV4_ID, id);
  Store16(header + IPV4_CHECKSUM, static_cast<uint16_t>(~FoldSum(uint32_t{plan.ip_sum} + total_length + id)));
}

// Both return the sum of what they wrote.
uint32_t WriteTcp(const SegmentPlan& plan, uint32_t segment, bool keep_cwr, uint8_t* header) {
  const bool is_last = segment + 1 == plan.count;
  StoreBig32(header + TCP_SEQUENCE, Big32(header + TCP_SEQUENCE) + segment * plan.gso_size);
  uint8_t cleared = 0;
  if (!is_last) cleared |= FIN | PSH;
  if (segment > 0 && !keep_cwr) cleared |= CWR;
  header[TCP_FLAGS] &= static_cast<uint8_t>(~cleared);
  return Load16(header + TCP_SEQUENCE) + Load16(header + TCP_SEQUENCE + 2) + Load16(header + TCP_DATA_OFFSET);
}

uint32_t WriteUdp(uint16_t length, uint8_t* header) {
  Store16(header + UDP_LENGTH, length);
  return length;
}

}  // namespace

bool PlanSegments(const Superframe& superframe, SegmentPlan& plan) {
  Packet packet;
  if (superframe.gso_size == 0 || !ReadPacket(superframe, packet)) return false;
  if (!IsOfType(packet, superframe.gso_type)) return false;
  const bool is_udp = packet.protocol == PROTOCOL_UDP;
  const uint32_t l4_header = TransportHeaderLength(superframe.data + packet.l4, superframe.length - packet.l4, is_udp);
  if (l4_header == 0 || packet.l4 + l4_header > MAX_SEGMENT_HEADER) return false;

  plan.ip_offset = packet.ip;
  plan.l4_offset = packet.l4;
  plan.header_length = packet.l4 + l4_header;
  plan.payload_length = superframe.length - plan.header_length;
  plan.gso_size = superframe.gso_size;
  plan.count = plan.payload_length == 0 ? 1 : (plan.payload_length + plan.gso_size - 1) / plan.gso_size;
  plan.is_ipv6 = packet.is_ipv6;
  plan.is_udp = is_udp;
  plan.ip_sum = packet.is_ipv6 ? 0 : Ipv4Sum(superframe.data + packet.ip, packet.l4 - packet.ip);
  plan.l4_sum = TransportSum(superframe.data, packet, l4_header, is_udp);
  return true;
}

void WriteSegmentHeader(const Superframe& superframe, const SegmentPlan& plan, uint32_t segment, uint8_t* out) {
  const uint32_t payload_length = plan.PayloadLength(segment);
  const uint8_t* payload = superframe.data + plan.header_length + segment * plan.gso_size;
  memcpy(out, superframe.data, plan.header_length);

  uint8_t* ip = out + plan.ip_offset;
  const uint32_t ip_length = plan.header_length - plan.ip_offset + payload_length;
  if (plan.is_ipv6) {
    Store16(ip + IPV6_PAYLOAD_LENGTH, BigLength(ip_length - IPV6));
  } else {
    WriteIpv4(plan, segment, ip_length, ip);
  }

  uint8_t* l4 = out + plan.l4_offset;
  const uint16_t l4_length = BigLength(plan.header_length - plan.l4_offset + payload_length);
  const bool keep_cwr = (superframe.gso_type & GSO_ACCECN) != 0;
  const uint32_t own = plan.is_udp ? WriteUdp(l4_length, l4) : WriteTcp(plan, segment, keep_cwr, l4);
  const uint32_t headers = uint32_t{plan.l4_sum} + l4_length + own;
  const uint16_t checksum = static_cast<uint16_t>(~FoldSum(AddBytes(payload, payload_length, headers)));
  if (plan.is_udp) {
    Store16(l4 + UDP_CHECKSUM, checksum == 0 ? 0xffff : checksum);
  } else {
    Store16(l4 + TCP_CHECKSUM, checksum);
  }
}

bool CompleteChecksum(uint8_t* data, uint32_t length, uint32_t csum_start, uint32_t csum_offset) {
  const uint64_t field = uint64_t{csum_start} + csum_offset;
  if (field + 2 > length) return false;
  const uint16_t checksum = static_cast<uint16_t>(~FoldSum(AddBytes(data + csum_start, length - csum_start, 0)));
  const bool is_udp = csum_offset == UDP_CHECKSUM;
  Store16(data + field, is_udp && checksum == 0 ? 0xffff : checksum);
  return true;
}

}  // namespace vtepd
