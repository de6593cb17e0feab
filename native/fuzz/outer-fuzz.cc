// Any bytes as a message of a packet socket, with and without an Ethernet header. Checked: nothing outside the message
// is read (the sanitizers), the payload that is found lies inside it and behind the headers, and the checksums of a
// packet called intact are right by another sum.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "../outer.h"

namespace {

constexpr uint32_t UDP = 17;

void Check(bool holds) {
  if (!holds) abort();
}

// RFC 1071 by the book: 16 bits at a time, in network order.
uint32_t Sum(const uint8_t* data, uint32_t length, uint32_t sum) {
  for (uint32_t i = 0; i < length; i++) sum += i % 2 == 0 ? data[i] << 8 : data[i];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

void CheckIpv4(const uint8_t* ip, const vtepd::Outer& outer) {
  Check(memcmp(outer.source + 12, ip + 12, 4) == 0 && memcmp(outer.destination + 12, ip + 16, 4) == 0);
  Check(outer.tos == ip[1]);
}

void CheckIpv6(const uint8_t* ip, const vtepd::Outer& outer) {
  Check(memcmp(outer.destination, ip + 24, 16) == 0);
  Check(outer.tos == (ip[0] << 4 | ip[1] >> 4) % 256);
}

void CheckMessage(const uint8_t* data, uint32_t length, uint32_t link_header) {
  vtepd::Outer outer;
  if (!vtepd::ReadOuter(data, length, link_header, outer)) return;
  const uint8_t* const ip = data + vtepd::PACKET_VNET_HEADER + link_header;
  const bool is_ipv4 = ip[0] >> 4 == 4;
  Check(outer.offset <= length && outer.length <= length - outer.offset);
  Check(outer.segment_size > 0);
  Check((outer.inner_gso_type == 0) == (outer.inner_gso_size == 0));
  Check(outer.is_vouched_for == ((data[0] & 3) != 0));

  uint32_t headers = is_ipv4 ? (ip[0] & 15) * 4U : 40;
  uint32_t protocol = is_ipv4 ? ip[9] : ip[6];
  if (!is_ipv4 && protocol == 60) {
    protocol = ip[headers];
    headers += 8;
  }
  const bool is_udp = protocol == UDP;
  Check(outer.offset == vtepd::PACKET_VNET_HEADER + link_header + headers + (is_udp ? 8 : 0));
  if (is_ipv4) {
    CheckIpv4(ip, outer);
  } else {
    CheckIpv6(ip, outer);
  }
  bool is_right = !is_ipv4 || Sum(ip, headers, 0) == 0xffff;
  if (is_udp) {
    const uint8_t* const udp = ip + headers;
    const uint32_t udp_length = outer.length + 8;
    const uint32_t pseudo = is_ipv4 ? Sum(ip + 12, 8, UDP + udp_length) : Sum(ip + 8, 32, UDP + udp_length);
    Check(outer.source_port == (udp[0] << 8 | udp[1]));
    if (!outer.is_vouched_for && (udp[6] | udp[7]) != 0) is_right &= Sum(udp, udp_length, pseudo) == 0xffff;
  } else {
    Check(outer.source_port == 0 && outer.segment_size == UINT32_MAX);
  }
  Check(outer.is_corrupt == !is_right);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Of exactly that size, so that a byte too far is seen.
  const std::unique_ptr<uint8_t[]> message(new uint8_t[size]);
  memcpy(message.get(), data, size);
  for (const uint32_t link_header : {14U, 0U}) CheckMessage(message.get(), static_cast<uint32_t>(size), link_header);
  return 0;
}
