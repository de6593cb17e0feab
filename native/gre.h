// The fields of a GRE header that differ from datagram to datagram: checksum (RFC 2784 section 2.3) and sequence number
// (RFC 2890 section 2.2). Offsets and lengths are bytes.
#ifndef VTEPD_GRE_H_
#define VTEPD_GRE_H_

#include <cstdint>

namespace vtepd {

inline constexpr uint32_t GRE = 4;  // Without the optional fields.
inline constexpr uint32_t GRE_PROTOCOL = 2;
inline constexpr uint32_t GRE_CHECKSUM = 4;  // Where the first byte says that there is one.
inline constexpr uint8_t GRE_HAS_CHECKSUM = 0x80;

// Whether the checksum over a packet, from its GRE header to its end, is right.
bool IsGreChecksumRight(const uint8_t* gre, uint32_t length);

// The same for a packet whose inner checksum is unfinished: from csum_start on, its bytes will sum to the complement of
// what the field at csum_start + csum_offset holds now. Both count from the GRE header; false when they lie outside.
bool IsGreChecksumRightOnceFinished(const uint8_t* gre, uint32_t length, uint32_t csum_start, uint32_t csum_offset);

// Into the packet's header, of which header_length bytes, an even number, lie apart from the payload.
void WriteGreChecksum(uint8_t* gre, uint32_t header_length, const uint8_t* payload, uint32_t payload_length);

// Into the last four bytes before `end`, where the GRE header ends.
void WriteGreSequence(uint8_t* end, uint32_t sequence);

}  // namespace vtepd

#endif  // VTEPD_GRE_H_
