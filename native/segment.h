// Splits a superframe (one frame with a TCP or UDP payload of many segments, as a TAP with TSO/USO hands it over) into
// the frames that the wire would have seen. Headers are written into memory of the caller; the payload is not copied.
// Pure functions: any bytes in, no memory outside the given bounds is read or written.
//
// Rules: TCP per RFC 9293 as the kernel's tcp_gso_segment does it (net/ipv4/tcp_offload.c), IPv4 identification per
// RFC 6864 and inet_gso_segment, UDP as __udp_gso_segment.
#ifndef VTEPD_SEGMENT_H_
#define VTEPD_SEGMENT_H_

#include <cstdint>

#include "abi.h"
#include "frame-kind.h"

namespace vtepd {

// A frame read from a TAP or TUN, and what its vnet header says of it. Nothing of it is trusted.
struct Superframe {
  uint8_t* data;
  uint32_t length;
  uint8_t gso_type;  // virtio_net_hdr: 1 TCPv4, 4 TCPv6, 5 UDP_L4; bits 0x80 ECN, 0x10 Accurate ECN
  uint16_t gso_size;
  FrameKind kind;
};

// Where its parts are. Made by PlanSegments, used with the same superframe.
struct SegmentPlan {
  uint32_t ip_offset;
  uint32_t l4_offset;
  uint32_t header_length;   // the frame's start to the end of the TCP/UDP header, bytes
  uint32_t payload_length;  // of the whole superframe
  uint32_t gso_size;
  uint32_t count;  // segments, at least 1
  bool is_ipv6;
  bool is_udp;
  // Folded sums of what all segments have in common, so that each adds only its own words and its payload.
  uint16_t ip_sum;  // IPv4 header without total length, identification and checksum
  uint16_t l4_sum;  // pseudo-header without its length; UDP: ports; TCP: all but sequence number, flags and checksum

  uint32_t PayloadLength(uint32_t segment) const {
    return segment + 1 < count ? gso_size : payload_length - (count - 1) * gso_size;
  }
};

// The longest header WriteSegmentHeader writes: Ethernet with two tags, IPv6 with extensions or IPv4 with options, TCP
// with options. Longer ones are refused by PlanSegments.
inline constexpr uint32_t MAX_SEGMENT_HEADER = 256;

// False when this is no superframe that can be split: not the protocol that gso_type names, lengths that contradict
// each other, fragments, TCP with SYN, RST or URG, gso_size 0, headers that end outside the frame or are too long.
bool PlanSegments(const Superframe& superframe, SegmentPlan& plan);

// Writes the header_length bytes of header of segment `segment` (0..count-1) to `out`, lengths, identification,
// sequence number, flags and all checksums right. The segment's payload follows at data + header_length + segment *
// gso_size.
void WriteSegmentHeader(const Superframe& superframe, const SegmentPlan& plan, uint32_t segment, uint8_t* out);

// Finishes the checksum of a frame that is no superframe but left it to its device (VIRTIO_NET_HDR_F_NEEDS_CSUM): adds
// up from csum_start to the end, the pseudo-header sum in the field included, and stores the complement; a UDP sum of
// zero becomes 0xffff. False when the field is not inside the frame.
bool CompleteChecksum(uint8_t* data, uint32_t length, uint32_t csum_start, uint32_t csum_offset);

}  // namespace vtepd

#endif  // VTEPD_SEGMENT_H_
