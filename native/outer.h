// The outer headers of a message from a packet socket: where a UDP socket has the kernel read and check them, here it
// is ours to do. Safe for any bytes and any length; nothing is written.
#ifndef VTEPD_OUTER_H_
#define VTEPD_OUTER_H_

#include <cstdint>

namespace vtepd {

// struct virtio_net_hdr, what a packet socket puts before each frame (PACKET_VNET_HDR), and the Ethernet and IPv4
// headers that the socket's filter has seen already. Bytes.
inline constexpr uint32_t PACKET_VNET_HEADER = 10;

struct Outer {
  // The UDP payload: one datagram, or several of segment_size bytes of which the last may be shorter.
  uint32_t offset;  // From the message's first byte.
  uint32_t length;
  uint32_t segment_size;
  uint8_t source[4];
  uint8_t destination[4];
  uint16_t source_port;
  uint8_t tos;
  // The UDP checksum is there, nobody has vouched for it, and it is wrong.
  bool is_corrupt;
  // The frame inside is a superframe that the kernel merged or never cut: as in virtio_net_hdr, 0 when it is not.
  uint8_t inner_gso_type;
  uint16_t inner_gso_size;
};

// message: vnet header, Ethernet, IPv4, UDP, payload; what follows the IP packet is padding. False when it is none of
// that, or ends early.
bool ReadOuter(const uint8_t* message, uint32_t length, Outer& outer);

}  // namespace vtepd

#endif  // VTEPD_OUTER_H_
