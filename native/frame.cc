#include "frame.h"

#include <algorithm>
#include <cstring>

#include "packet.h"

namespace vtepd {

namespace {

// IP protocol numbers.
constexpr uint8_t DCCP = 33;
constexpr uint8_t SCTP = 132;
constexpr uint8_t UDP_LITE = 136;
// More than any honest sender uses; the bound keeps a frame of nothing but headers cheap.
constexpr int MAX_EXTENSION_HEADERS = 8;

// Where the headers are; offsets are bytes from the frame's start.
struct Headers {
  int32_t flags = 0;
  uint16_t type = 0;
  uint32_t ip = 0;
  uint32_t l4 = 0;         // 0: no transport header in this frame.
  uint32_t l4_length = 0;  // As the IP header says, which may be more than there is.
  uint32_t l4_room = 0;    // Bytes of it that are inside the frame.
  uint8_t protocol = 0;
  bool has_extensions = false;
};

void SetTransport(uint32_t offset, uint32_t ip_end, uint32_t length, Headers& headers) {
  headers.l4 = offset;
  headers.l4_length = ip_end - offset;
  headers.l4_room = std::min(ip_end, length) - offset;
  if (headers.protocol == PROTOCOL_TCP && headers.l4_room >= TCP) headers.flags |= abi::FLAG_TCP;
  if (headers.protocol == PROTOCOL_UDP && headers.l4_room >= UDP) headers.flags |= abi::FLAG_UDP;
}

void ReadIpv4(const uint8_t* data, uint32_t offset, uint32_t length, Headers& headers) {
  if (offset + IPV4 > length || data[offset] >> 4 != 4) return;
  const uint32_t header_end = offset + (data[offset] & 15) * 4U;
  const uint32_t ip_end = offset + Big16(data + offset + 2);
  if (header_end < offset + IPV4 || header_end > length || ip_end < header_end) return;
  headers.flags |= abi::FLAG_IPV4;
  headers.ip = offset;
  headers.protocol = data[offset + 9];
  const uint16_t fragment = Big16(data + offset + 6);
  if ((fragment & 0x3fff) != 0) headers.flags |= abi::FLAG_FRAGMENT;  // More fragments, or an offset.
  if ((fragment & 0x1fff) == 0) SetTransport(header_end, ip_end, length, headers);
}

void ReadIpv6(const uint8_t* data, uint32_t offset, uint32_t length, Headers& headers) {
  if (offset + IPV6 > length || data[offset] >> 4 != 6) return;
  headers.flags |= abi::FLAG_IPV6;
  headers.ip = offset;
  headers.protocol = data[offset + 6];
  const uint32_t ip_end = offset + IPV6 + Big16(data + offset + 4);
  const uint32_t end = std::min(ip_end, length);
  uint32_t next = offset + IPV6;
  for (int i = 0; i < MAX_EXTENSION_HEADERS; i++) {
    const uint8_t kind = headers.protocol;
    if (kind != HOP_BY_HOP && kind != ROUTING && kind != DESTINATION_OPTIONS && kind != FRAGMENT) {
      SetTransport(next, ip_end, length, headers);
      return;
    }
    if (next + 8 > end) return;
    headers.has_extensions = true;
    headers.protocol = data[next];
    if (kind == FRAGMENT) {
      headers.flags |= abi::FLAG_FRAGMENT;
      if ((Big16(data + next + 2) & 0xfff8) != 0) return;  // Not the first: what follows is payload.
      next += 8;
    } else {
      next += (data[next + 1] + 1U) * 8U;
    }
    if (next > end) return;
  }
}

// Of a frame with a whole Ethernet header, or an IP packet of one byte at least.
Headers FindHeaders(const uint8_t* data, uint32_t length, FrameKind kind) {
  Headers headers;
  uint32_t offset = 0;
  if (kind == FrameKind::kIpPacket) {
    headers.type = TypeOfIpPacket(data);
  } else {
    offset = ETHERNET;
    headers.type = Big16(data + offset - 2);
  }
  for (int i = 0; i < MAX_VLAN_TAGS && (headers.type == TYPE_8021Q || headers.type == TYPE_8021AD); i++) {
    headers.flags |= abi::FLAG_VLAN;
    if (offset + VLAN_TAG > length) return headers;
    offset += VLAN_TAG;
    headers.type = Big16(data + offset - 2);
  }
  if (headers.type == TYPE_IPV4) ReadIpv4(data, offset, length, headers);
  if (headers.type == TYPE_IPV6) ReadIpv6(data, offset, length, headers);
  return headers;
}

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
  return hash ^ (hash >> 32);
}

bool HasPorts(uint8_t protocol) {
  return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == DCCP || protocol == SCTP ||
         protocol == UDP_LITE;
}

// Frames of one flow get one hash. Fragments go without ports, as only the first has them and all must travel together.
int32_t FlowHash(const uint8_t* data, FrameKind kind, const Headers& headers) {
  uint64_t hash;
  if ((headers.flags & abi::FLAG_IPV4) != 0) {
    hash = Mix(headers.protocol, Load64(data + headers.ip + 12));
  } else if ((headers.flags & abi::FLAG_IPV6) != 0) {
    const uint8_t* addresses = data + headers.ip + 8;
    hash = Mix(headers.protocol, Load64(addresses));
    for (int i = 8; i < 32; i += 8) hash = Mix(hash, Load64(addresses + i));
  } else if (kind == FrameKind::kEthernet) {
    hash = Mix(Mix(headers.type, Load64(data)), Load32(data + 8));
  } else {
    hash = headers.type;
  }
  if (headers.l4_room >= 4 && (headers.flags & abi::FLAG_FRAGMENT) == 0 && HasPorts(headers.protocol)) {
    hash = Mix(hash, Load32(data + headers.l4));
  }
  return static_cast<int32_t>(Mix(hash, 0) >> 32);
}

// The folded sum of the pseudo-header, in the byte order in which the checksum field holds it (RFC 1071: the sum of
// swapped words is the swapped sum).
uint16_t PseudoHeaderSum(const uint8_t* data, const Headers& headers) {
  const bool is_ipv4 = (headers.flags & abi::FLAG_IPV4) != 0;
  const uint8_t* addresses = data + headers.ip + (is_ipv4 ? 12 : 8);
  const int size = is_ipv4 ? 8 : 32;
  uint64_t sum = htobe16(headers.protocol);
  sum += htobe32(headers.l4_length);
  for (int i = 0; i < size; i += 4) sum += Load32(addresses + i);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// A fragment's checksum covers the whole packet and is not looked at, nor is a packet that lacks its end. With
// extension headers the sum would need the last destination of a routing header: such a packet goes on as it is.
void DetectPartialChecksum(const uint8_t* data, uint32_t length, const Headers& headers, abi::Frame& frame) {
  if ((headers.flags & (abi::FLAG_TCP | abi::FLAG_UDP)) == 0 || (headers.flags & abi::FLAG_FRAGMENT) != 0) return;
  if (headers.has_extensions || headers.l4 + headers.l4_length > length) return;
  const bool is_tcp = (headers.flags & abi::FLAG_TCP) != 0;
  const uint32_t csum_offset = is_tcp ? 16 : 6;
  const uint16_t field = Load16(data + headers.l4 + csum_offset);
  // A UDP checksum of zero means none. The sum itself is never zero, as the protocol number is not.
  if (field == 0 || field != PseudoHeaderSum(data, headers)) return;
  if (frame.headers == 0) return;
  frame.flags |= abi::FLAG_PARTIAL_CSUM;
  frame.csum = static_cast<int32_t>(headers.l4 | csum_offset << 16);
}

// FRAME_HEADERS: 0 unless a whole TCP or UDP header is inside the frame.
int32_t HeaderWord(const uint8_t* data, const Headers& headers) {
  if ((headers.flags & (abi::FLAG_TCP | abi::FLAG_UDP)) == 0) return 0;
  const bool is_tcp = (headers.flags & abi::FLAG_TCP) != 0;
  const uint32_t l4_header = is_tcp ? (data[headers.l4 + 12] >> 4) * 4U : UDP;
  if ((is_tcp && l4_header < TCP) || l4_header > headers.l4_room) return 0;
  return static_cast<int32_t>((headers.l4 + l4_header) | headers.ip << 16);
}

int32_t InnerIpWord(const uint8_t* data, const Headers& headers) {
  const uint8_t* const ip = data + headers.ip;
  const int32_t offset = static_cast<int32_t>(headers.ip << 16);
  if ((headers.flags & abi::FLAG_IPV4) != 0) {
    constexpr uint8_t DF = 0x40;
    return ip[1] | ip[IPV4_TTL] << 8 | offset | ((ip[IPV4_FRAGMENT] & DF) != 0 ? abi::INNER_DF : 0);
  }
  if ((headers.flags & abi::FLAG_IPV6) != 0) {
    return ((ip[0] & 15) << 4 | ip[1] >> 4) | ip[IPV6_HOP_LIMIT] << 8 | offset | abi::INNER_DF;
  }
  return 0;
}

// Fills in what both ways have in common; false when there is nothing more to be read.
bool ReadStart(const uint8_t* data, int32_t length, FrameKind kind, abi::Frame& frame) {
  memset(&frame.flags, 0, offsetof(abi::Frame, source) - offsetof(abi::Frame, flags));
  frame.inner_ip = 0;
  if (kind == FrameKind::kIpPacket) {
    frame.flags = abi::FLAG_IP_PACKET;
    return length > 0;
  }
  if (length < static_cast<int32_t>(ETHERNET)) return false;
  frame.dst_hi = Big16(data);
  frame.dst_lo = static_cast<int32_t>(Big32(data + 2));
  frame.src_hi = Big16(data + 6);
  frame.src_lo = static_cast<int32_t>(Big32(data + 8));
  return true;
}

}  // namespace

void DescribeWithHash(const uint8_t* data, int32_t length, FrameKind kind, abi::Frame& frame) {
  if (!ReadStart(data, length, kind, frame)) return;
  const Headers headers = FindHeaders(data, static_cast<uint32_t>(length), kind);
  frame.flags |= headers.flags;
  frame.headers = HeaderWord(data, headers);
  frame.inner_ip = InnerIpWord(data, headers);
  frame.flow_hash = FlowHash(data, kind, headers);
}

void DescribeWithChecksum(const uint8_t* data, int32_t length, FrameKind kind, abi::Frame& frame) {
  if (!ReadStart(data, length, kind, frame)) return;
  const Headers headers = FindHeaders(data, static_cast<uint32_t>(length), kind);
  frame.flags |= headers.flags;
  frame.headers = HeaderWord(data, headers);
  frame.inner_ip = InnerIpWord(data, headers);
  DetectPartialChecksum(data, static_cast<uint32_t>(length), headers, frame);
}

}  // namespace vtepd
