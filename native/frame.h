// Reads the headers of an overlay frame into a descriptor. Safe for any bytes and any length: everything is
// checked against the frame's end before it is read, and nothing is written to the frame.
#ifndef VTEPD_FRAME_H_
#define VTEPD_FRAME_H_

#include <cstdint>

#include "abi.h"
#include "frame-kind.h"

namespace vtepd {

// Both fill in FRAME_FLAGS and words FRAME_DST_HI to FRAME_HEADERS and FRAME_INNER_IP, all zero for what is not there;
// a frame shorter than an Ethernet header (even of negative length) gets zeros only, and an IP packet FLAG_IP_PACKET.
// FLAG_TCP and FLAG_UDP say that the fixed part of that header is inside the frame: a later fragment has neither.

// A frame from the overlay's side: with a flow hash.
void DescribeWithHash(const uint8_t* data, int32_t length, FrameKind kind, abi::Frame& frame);

// A frame out of a datagram: with FLAG_PARTIAL_CSUM, FRAME_CSUM and FRAME_HEADERS where its TCP or UDP checksum is only
// the pseudo-header sum, as a virtual machine or a veth without checksumming sends it.
void DescribeWithChecksum(const uint8_t* data, int32_t length, FrameKind kind, abi::Frame& frame);

}  // namespace vtepd

#endif  // VTEPD_FRAME_H_
