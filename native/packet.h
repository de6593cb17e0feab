// The headers inside a frame, for the files that read or write them: lengths, field offsets, numbers, and loads and
// stores of any alignment. Offsets and lengths are bytes; fields are in network order.
#ifndef VTEPD_PACKET_H_
#define VTEPD_PACKET_H_

#include <endian.h>

#include <cstdint>
#include <cstring>

namespace vtepd {

// Header lengths, without options.
inline constexpr uint32_t ETHERNET = 14;
inline constexpr uint32_t VLAN_TAG = 4;
inline constexpr uint32_t IPV4 = 20;
inline constexpr uint32_t IPV6 = 40;
inline constexpr uint32_t IPV6_OPTIONS = 8;  // Of the shortest options header.
inline constexpr uint32_t TCP = 20;
inline constexpr uint32_t UDP = 8;
inline constexpr uint16_t TYPE_IPV4 = 0x0800;
inline constexpr uint16_t TYPE_IPV6 = 0x86dd;
inline constexpr uint16_t TYPE_ETHERNET = 0x6558;  // "Transparent Ethernet bridging": a frame in GRE.
inline constexpr uint16_t TYPE_8021Q = 0x8100;
inline constexpr uint16_t TYPE_8021AD = 0x88a8;
inline constexpr int MAX_VLAN_TAGS = 2;

// IP protocol numbers.
inline constexpr uint8_t HOP_BY_HOP = 0;
inline constexpr uint8_t PROTOCOL_TCP = 6;
inline constexpr uint8_t PROTOCOL_UDP = 17;
inline constexpr uint8_t ROUTING = 43;
inline constexpr uint8_t FRAGMENT = 44;
inline constexpr uint8_t DESTINATION_OPTIONS = 60;

// Offsets in the headers.
inline constexpr uint32_t IPV4_TOTAL_LENGTH = 2;
inline constexpr uint32_t IPV4_ID = 4;
inline constexpr uint32_t IPV4_FRAGMENT = 6;
inline constexpr uint32_t IPV4_TTL = 8;
inline constexpr uint32_t IPV4_PROTOCOL = 9;
inline constexpr uint32_t IPV4_CHECKSUM = 10;
inline constexpr uint32_t IPV4_ADDRESSES = 12;
inline constexpr uint32_t IPV6_PAYLOAD_LENGTH = 4;
inline constexpr uint32_t IPV6_NEXT_HEADER = 6;
inline constexpr uint32_t IPV6_HOP_LIMIT = 7;
inline constexpr uint32_t IPV6_ADDRESSES = 8;
inline constexpr uint32_t TCP_SEQUENCE = 4;
inline constexpr uint32_t TCP_ACKNOWLEDGEMENT = 8;
inline constexpr uint32_t TCP_DATA_OFFSET = 12;
inline constexpr uint32_t TCP_FLAGS = 13;
inline constexpr uint32_t TCP_WINDOW = 14;
inline constexpr uint32_t TCP_CHECKSUM = 16;
inline constexpr uint32_t TCP_URGENT = 18;
inline constexpr uint32_t UDP_LENGTH = 4;
inline constexpr uint32_t UDP_CHECKSUM = 6;

// TCP flags.
inline constexpr uint8_t FIN = 0x01;
inline constexpr uint8_t SYN = 0x02;
inline constexpr uint8_t RST = 0x04;
inline constexpr uint8_t PSH = 0x08;
inline constexpr uint8_t ACK = 0x10;
inline constexpr uint8_t URG = 0x20;
inline constexpr uint8_t ECE = 0x40;
inline constexpr uint8_t CWR = 0x80;

// In memory order.
inline uint16_t Load16(const uint8_t* p) {
  uint16_t value;
  memcpy(&value, p, sizeof(value));
  return value;
}
inline uint32_t Load32(const uint8_t* p) {
  uint32_t value;
  memcpy(&value, p, sizeof(value));
  return value;
}
inline uint64_t Load64(const uint8_t* p) {
  uint64_t value;
  memcpy(&value, p, sizeof(value));
  return value;
}
inline void Store16(uint8_t* p, uint16_t value) {
  memcpy(p, &value, sizeof(value));
}

// In network order.
inline uint16_t Big16(const uint8_t* p) {
  return be16toh(Load16(p));
}
inline uint32_t Big32(const uint8_t* p) {
  return be32toh(Load32(p));
}

// What the Ethernet header of an IP packet would call it, by the version; 0 for neither of the two. Of one byte at
// least.
inline uint16_t TypeOfIpPacket(const uint8_t* packet) {
  const int version = packet[0] >> 4;
  return version == 4 ? TYPE_IPV4 : version == 6 ? TYPE_IPV6 : 0;
}

}  // namespace vtepd

#endif  // VTEPD_PACKET_H_
