// The outer headers of a message from a packet socket: where a UDP socket has the kernel read and check them, here it
// is ours to do. Safe for any bytes and any length; nothing is written.
#ifndef VTEPD_OUTER_H_
#define VTEPD_OUTER_H_

#include <cstdint>

namespace vtepd {

// struct virtio_net_hdr, what a packet socket puts before each frame (PACKET_VNET_HDR). Bytes.
inline constexpr uint32_t PACKET_VNET_HEADER = 10;

struct Outer {
  // What the IP packet carries; for UDP the datagram's payload, one or several of segment_size bytes of which the last
  // may be shorter.
  uint32_t offset;  // From the message's first byte.
  uint32_t length;
  uint32_t segment_size;
  uint8_t source[16];       // An IPv4 address as ::ffff:a.b.c.d.
  uint8_t destination[16];  // The same.
  uint16_t source_port;     // 0 for other protocols.
  uint8_t tos;              // Or the traffic class.
  // Nobody need look at checksums in what is carried: a device or GRO has, or they are yet to be finished.
  bool is_vouched_for;
  // The IPv4 header's checksum is wrong, or that of UDP: it is there, and nobody has vouched for it.
  bool is_corrupt;
  // The frame inside is a superframe that the kernel merged or never cut: as in virtio_net_hdr, 0 when it is not.
  uint8_t inner_gso_type;
  uint16_t inner_gso_size;
};

// message: vnet header, link_header bytes (14 of Ethernet or none), IPv4 or IPv6, payload; what follows the IP packet
// is padding. Of extension headers only one of 8 bytes with destination options is understood; a fragment is not. False
// when it is none of that, or ends early.
bool ReadOuter(const uint8_t* message, uint32_t length, uint32_t link_header, Outer& outer);

}  // namespace vtepd

#endif  // VTEPD_OUTER_H_
