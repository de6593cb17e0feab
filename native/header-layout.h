// Where the overlay frame begins in a datagram. For VXLAN that is a number of bytes; the headers of GRE, Geneve and GUE
// say themselves how long they are and what follows, and a header layout (abi.h, HEADER_*) says how they do. It finds
// the frame and no more: whether the header is one that shall be taken is for the data plane to see.
#ifndef VTEPD_HEADER_LAYOUT_H_
#define VTEPD_HEADER_LAYOUT_H_

#include <cstdint>
#include <cstring>

#include "frame-kind.h"
#include "gre.h"

namespace vtepd {

class HeaderLayout {
 public:
  // Of one datagram's header. Bytes; more than the datagram has when that ends before its frame begins.
  struct Extent {
    uint32_t length;
    FrameKind kind;
  };

  // False for a word that is none: unknown bits, or a base too short for the bytes that the layout looks at.
  bool Parse(int32_t word);

  // Safe for any bytes and any size.
  Extent Measure(const uint8_t* datagram, uint32_t size) const {
    return is_constant_ ? Extent{fixed_, kind_} : MeasureVariable(datagram, size);
  }

  // What a TUN or TAP of this layout reads.
  FrameKind Kind() const { return kind_; }

  // Whether the packet is inside ESP and has to be opened (esp.h).
  bool IsSealed() const { return is_sealed_; }

  // Bytes before the part of the header that the layout describes.
  uint32_t Prefix() const { return prefix_; }

  // Whether the datagram, whose whole header is there, has a GRE checksum that is to be verified.
  bool HasChecksum(const uint8_t* datagram) const {
    return verifies_checksum_ && (datagram[prefix_] & GRE_HAS_CHECKSUM) != 0;
  }

  // Whether two headers, both of this length, are equal but for the GRE checksum, which is of the payload.
  bool AreEqual(const uint8_t* a, const uint8_t* b, uint32_t length) const {
    return HasChecksum(a) ? AreEqualButChecksum(a, b, length) : memcmp(a, b, length) == 0;
  }

 private:
  bool AreEqualButChecksum(const uint8_t* a, const uint8_t* b, uint32_t length) const;
  Extent MeasureVariable(const uint8_t* datagram, uint32_t size) const;

  uint32_t prefix_ = 0;
  uint32_t fixed_ = 0;  // Bytes that are always there, the prefix among them.
  uint8_t flags_ = 0;   // Bits of the first byte behind the prefix.
  uint8_t units_ = 0;
  FrameKind kind_ = FrameKind::kEthernet;
  bool has_ethertype_ = false;
  bool verifies_checksum_ = false;
  bool is_sealed_ = false;
  bool is_constant_ = true;
};

}  // namespace vtepd

#endif  // VTEPD_HEADER_LAYOUT_H_
