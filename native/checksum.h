// The Internet checksum (RFC 1071): one's-complement sums over bytes, as fast as the processor can.
#ifndef VTEPD_CHECKSUM_H_
#define VTEPD_CHECKSUM_H_

#include <cstddef>
#include <cstdint>

namespace vtepd {

// Ways to add up; all give the same sum.
enum class ChecksumPath { kScalar, kAvx2, kNeon };

// The fastest that this processor has, found once.
ChecksumPath BestChecksumPath();
bool HasChecksumPath(ChecksumPath path);

// Adds `length` bytes, taken as 16-bit words in memory order (an odd last byte is followed by a zero), to `initial`.
// Sums are in the byte order in which the fields lie in the packet (RFC 1071 section 2B), and partly folded: any 32-bit
// value congruent to the sum. Any alignment.
uint32_t AddBytes(const uint8_t* data, size_t length, uint32_t initial);
uint32_t AddBytesBy(ChecksumPath path, const uint8_t* data, size_t length, uint32_t initial);

// Folds to 16 bits, not complemented: 0xffff and 0 are the same number, and this returns 0 only for a sum of nothing
// but zeros.
inline uint16_t FoldSum(uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>((sum & 0xffff) + (sum >> 16));
}

}  // namespace vtepd

#endif  // VTEPD_CHECKSUM_H_
