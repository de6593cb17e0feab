// Any bytes as a message of a packet socket. Checked: nothing outside the message is read (the sanitizers), the payload
// that is found lies inside it and behind the headers, and a datagram called intact has a right checksum by another
// sum.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "../outer.h"

namespace {

void Check(bool holds) {
  if (!holds) abort();
}

// RFC 1071 by the book: 16 bits at a time, in network order.
uint32_t Sum(const uint8_t* data, uint32_t length, uint32_t sum) {
  for (uint32_t i = 0; i < length; i++) sum += i % 2 == 0 ? data[i] << 8 : data[i];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const uint32_t length = static_cast<uint32_t>(size);
  // Of exactly that size, so that a byte too far is seen.
  const std::unique_ptr<uint8_t[]> message(new uint8_t[size]);
  memcpy(message.get(), data, size);
  vtepd::Outer outer;
  if (!vtepd::ReadOuter(message.get(), length, outer)) return 0;
  Check(outer.offset >= vtepd::PACKET_VNET_HEADER + 14 + 20 + 8);
  Check(outer.offset <= length && outer.length <= length - outer.offset);
  Check(outer.segment_size > 0);
  Check((outer.inner_gso_type == 0) == (outer.inner_gso_size == 0));
  const bool is_vouched_for = (data[0] & 3) != 0;
  const uint8_t* const udp = data + outer.offset - 8;
  if (is_vouched_for || (udp[6] | udp[7]) == 0) {
    Check(!outer.is_corrupt);
  } else {
    const uint32_t udp_length = outer.length + 8;
    const uint32_t pseudo = Sum(outer.source, 4, Sum(outer.destination, 4, 17 + udp_length));
    Check(outer.is_corrupt == (Sum(udp, udp_length, pseudo) != 0xffff));
  }
  return 0;
}
