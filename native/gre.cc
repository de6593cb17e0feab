#include "gre.h"

#include "checksum.h"
#include "packet.h"

namespace vtepd {

bool IsGreChecksumRight(const uint8_t* gre, uint32_t length) {
  return FoldSum(AddBytes(gre, length, 0)) == 0xffff;
}

bool IsGreChecksumRightOnceFinished(const uint8_t* gre, uint32_t length, uint32_t csum_start, uint32_t csum_offset) {
  // Sums go by pairs of bytes: from an odd place on, they would be swapped.
  if (csum_start % 2 != 0 || uint64_t{csum_start} + csum_offset + 2 > length) return false;
  const uint16_t rest = static_cast<uint16_t>(~Load16(gre + csum_start + csum_offset));
  return FoldSum(AddBytes(gre, csum_start, rest)) == 0xffff;
}

void WriteGreChecksum(uint8_t* gre, uint32_t header_length, const uint8_t* payload, uint32_t payload_length) {
  Store16(gre + GRE_CHECKSUM, 0);
  const uint16_t header = FoldSum(AddBytes(gre, header_length, 0));
  Store16(gre + GRE_CHECKSUM, static_cast<uint16_t>(~FoldSum(AddBytes(payload, payload_length, header))));
}

void WriteGreSequence(uint8_t* end, uint32_t sequence) {
  sequence = htobe32(sequence);
  memcpy(end - sizeof(sequence), &sequence, sizeof(sequence));
}

}  // namespace vtepd
