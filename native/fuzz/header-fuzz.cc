// Any header layout with any bytes as a datagram, and what follows the header described. Checked: nothing outside the
// datagram is read (the sanitizers), the header's extent is what a slow reading of the layout says, what is described
// lies inside the frame, and GRE checksums are right by another sum.
//
// Input: the layout, 4 bytes, then the datagram.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "../abi.h"
#include "../frame.h"
#include "../gre.h"
#include "../header-layout.h"

namespace {

using vtepd::FrameKind;

void Check(bool holds) {
  if (!holds) abort();
}

// RFC 1071 by the book: 16 bits at a time, in network order.
uint32_t Sum(const uint8_t* data, uint32_t length) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < length; i++) sum += i % 2 == 0 ? data[i] << 8 : data[i];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

// As abi.ts words it; the layout is one, and the datagram has what it always has.
uint32_t SlowLength(uint32_t layout, const uint8_t* datagram) {
  const uint32_t prefix = (layout >> 26 & 15) * 4;
  uint32_t length = prefix + (layout & 0xff);
  const uint32_t flags = layout >> 8 & 0xff;
  const uint32_t units = layout >> 16 & 0xff;
  if (flags == 0 && units == 0) return length;
  for (uint32_t bit = 1; bit <= 0x80; bit <<= 1) {
    if ((flags & datagram[prefix] & bit) != 0) length += 4;
  }
  return length + (datagram[prefix] & units) * 4;
}

void CheckFrame(const uint8_t* data, uint32_t length, FrameKind kind) {
  for (const bool with_hash : {false, true}) {
    vtepd::abi::Frame frame;
    memset(&frame, 0xa5, sizeof(frame));
    if (with_hash) {
      vtepd::DescribeWithHash(data, static_cast<int32_t>(length), kind, frame);
    } else {
      vtepd::DescribeWithChecksum(data, static_cast<int32_t>(length), kind, frame);
    }
    const uint32_t headers = static_cast<uint32_t>(frame.headers);
    const uint32_t csum = static_cast<uint32_t>(frame.csum);
    Check(((frame.flags & vtepd::abi::FLAG_IP_PACKET) != 0) == (kind == FrameKind::kIpPacket));
    Check((headers & 0xffff) <= length);
    Check(headers == 0 || headers >> 16 == (static_cast<uint32_t>(frame.inner_ip) >> 16 & 0xff));
    if ((frame.flags & vtepd::abi::FLAG_PARTIAL_CSUM) != 0) Check((csum & 0xffff) + (csum >> 16) + 2 <= length);
    if (kind == FrameKind::kIpPacket) {
      Check((frame.flags & vtepd::abi::FLAG_VLAN) == 0 && headers >> 16 == 0);
      Check((frame.dst_hi | frame.dst_lo | frame.src_hi | frame.src_lo) == 0);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint32_t word;
  if (size < sizeof(word)) return 0;
  memcpy(&word, data, sizeof(word));
  const uint32_t length = static_cast<uint32_t>(size - sizeof(word));
  // Of exactly that size, so that a byte too far is seen.
  const std::unique_ptr<uint8_t[]> datagram(new uint8_t[length]);
  if (length > 0) memcpy(datagram.get(), data + sizeof(word), length);
  vtepd::HeaderLayout layout;
  if (!layout.Parse(static_cast<int32_t>(word))) return 0;
  const vtepd::HeaderLayout::Extent header = layout.Measure(datagram.get(), length);
  const uint32_t prefix = (word >> 26 & 15) * 4;
  if (length < prefix + (word & 0xff)) {
    Check(header.length > length);
    return 0;
  }
  Check(header.length == SlowLength(word, datagram.get()));
  const uint32_t payload = word >> 24 & 3;
  const bool is_ethernet =
      payload == 0 || (payload == 2 && datagram[prefix + 2] == 0x65 && datagram[prefix + 3] == 0x58);
  Check((header.kind == FrameKind::kEthernet) == is_ethernet);
  if (header.length > length) return 0;
  if (layout.HasChecksum(datagram.get())) {
    Check(prefix + 8 <= header.length && layout.AreEqual(datagram.get(), datagram.get(), header.length));
    const uint8_t* const gre = datagram.get() + prefix;
    Check(vtepd::IsGreChecksumRight(gre, length - prefix) == (Sum(gre, length - prefix) == 0xffff));
  }
  CheckFrame(datagram.get() + header.length, length - header.length, header.kind);
  return 0;
}
