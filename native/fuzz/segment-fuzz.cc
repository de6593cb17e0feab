// Fuzzes segment.h and checksum.h: whatever the bytes, nothing outside them is touched, and the segments of a
// superframe that is not refused are what RFC 9293, 768, 791 and 8200 want, checked by slow code that shares nothing
// with the addon's.
//
// Input: a Control, then the frame.
#include <endian.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../checksum.h"
#include "../segment.h"

namespace vtepd {

namespace {

using Bytes = std::vector<uint8_t>;

struct Control {
  uint8_t gso_type;
  uint8_t choices;  // REPAIR, IP_PACKET
  uint16_t gso_size;
  uint16_t stretch;  // Zeros behind the frame: superframes are long, but inputs had better be short.
  uint16_t csum_start;
  uint16_t csum_offset;
};

// In Control: the lengths are made right, as few mutations would leave them so; the frame has no Ethernet header.
constexpr uint8_t REPAIR = 1;
constexpr uint8_t IP_PACKET = 2;

#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) {                                           \
      fprintf(stderr, "line %d: not %s\n", __LINE__, #condition); \
      abort();                                                    \
    }                                                             \
  } while (false)

uint32_t Get16(const uint8_t* p) {
  return static_cast<uint32_t>(p[0] << 8 | p[1]);
}

uint32_t Get32(const uint8_t* p) {
  return Get16(p) << 16 | Get16(p + 2);
}

void Put16(uint8_t* p, size_t value) {
  p[0] = static_cast<uint8_t>(value >> 8);
  p[1] = static_cast<uint8_t>(value);
}

// RFC 1071, word by word in network order, folded; 0xffff stands for zero too, unless all is zero.
uint32_t SlowSum(const uint8_t* data, size_t length, uint64_t sum = 0) {
  for (size_t i = 0; i < length; i++) sum += i % 2 == 0 ? data[i] << 8 : data[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint32_t>(sum);
}

uint32_t IpOffset(const Bytes& frame, FrameKind kind) {
  if (kind == FrameKind::kIpPacket) return 0;
  uint32_t offset = 14;
  while (offset < 22 && offset + 4 <= frame.size()) {
    const uint32_t type = Get16(frame.data() + offset - 2);
    if (type != 0x8100 && type != 0x88a8) break;
    offset += 4;
  }
  return offset;
}

void RepairLengths(Bytes& frame, FrameKind kind) {
  const uint32_t ip = IpOffset(frame, kind);
  if (ip + 40 > frame.size()) return;
  const bool is_ipv6 = frame[ip] >> 4 == 6;
  if (ip > 0) Put16(frame.data() + ip - 2, is_ipv6 ? 0x86dd : 0x0800);
  if (is_ipv6) {
    Put16(frame.data() + ip + 4, frame.size() - ip - 40);
  } else {
    Put16(frame.data() + ip + 2, frame.size() - ip);
  }
  const size_t l4 = ip + (is_ipv6 ? 40 : (frame[ip] & 15) * 4U);
  if (frame[ip + (is_ipv6 ? 6 : 9)] == 17 && l4 + 8 <= frame.size()) Put16(frame.data() + l4 + 4, frame.size() - l4);
}

void CheckPlan(const Superframe& superframe, const SegmentPlan& plan) {
  const bool is_ip_packet = superframe.kind == FrameKind::kIpPacket;
  CHECK(is_ip_packet ? plan.ip_offset == 0 : plan.ip_offset == 14 || plan.ip_offset == 18 || plan.ip_offset == 22);
  CHECK(plan.header_length <= MAX_SEGMENT_HEADER);
  CHECK(plan.header_length + plan.payload_length == superframe.length);
  CHECK(plan.gso_size == superframe.gso_size && plan.count >= 1);
  CHECK(uint64_t{plan.count - 1} * plan.gso_size < std::max(plan.payload_length, 1U));
  CHECK(uint64_t{plan.count} * plan.gso_size >= plan.payload_length);
}

void CheckIp(const Bytes& frame, const SegmentPlan& plan, uint32_t segment, const Bytes& original) {
  const uint8_t* ip = frame.data() + plan.ip_offset;
  const size_t length = frame.size() - plan.ip_offset;
  Bytes expected(original.begin() + plan.ip_offset, original.begin() + plan.l4_offset);
  if (plan.is_ipv6) {
    Put16(expected.data() + 4, length - 40);
  } else {
    CHECK(SlowSum(ip, (ip[0] & 15) * 4U) == 0xffff);
    CHECK((Get16(ip + 6) & 0x3fff) == 0);
    Put16(expected.data() + 2, length);
    Put16(expected.data() + 4, Get16(expected.data() + 4) + segment);
    memcpy(expected.data() + 10, ip + 10, 2);
  }
  CHECK(std::equal(expected.begin(), expected.end(), ip));
}

// The pseudo-header's sum as the addresses say, or, behind extension headers, as the sender left it in the field.
uint32_t SlowPseudoSum(const Bytes& frame, const SegmentPlan& plan, const Bytes& original) {
  const uint32_t length = static_cast<uint32_t>(frame.size()) - plan.l4_offset;
  if (plan.is_ipv6 && plan.l4_offset - plan.ip_offset > 40) {
    const uint32_t field = Get16(original.data() + plan.l4_offset + (plan.is_udp ? 6 : 16));
    return field + 0xffff - (static_cast<uint32_t>(original.size()) - plan.l4_offset) % 0xffff + length;
  }
  const uint8_t* ip = frame.data() + plan.ip_offset;
  const uint32_t addresses = plan.is_ipv6 ? SlowSum(ip + 8, 32) : SlowSum(ip + 12, 8);
  return addresses + length + (plan.is_udp ? 17 : 6);
}

void CheckTransport(const Bytes& frame, const SegmentPlan& plan, uint32_t segment, bool keep_cwr,
                    const Bytes& original) {
  const uint8_t* l4 = frame.data() + plan.l4_offset;
  const size_t length = frame.size() - plan.l4_offset;
  Bytes expected(original.begin() + plan.l4_offset, original.begin() + plan.header_length);
  const size_t field = plan.is_udp ? 6 : 16;
  if (plan.is_udp) {
    CHECK(Get16(l4 + 6) != 0);
    Put16(expected.data() + 4, length);
  } else {
    const uint32_t sequence = Get32(expected.data() + 4) + segment * plan.gso_size;
    Put16(expected.data() + 4, sequence >> 16);
    Put16(expected.data() + 6, sequence & 0xffff);
    if (segment + 1 < plan.count) expected[13] &= 0xff & ~0x09;
    if (segment > 0 && !keep_cwr) expected[13] &= 0x7f;
    CHECK((l4[13] & 0x26) == 0);
  }
  memcpy(expected.data() + field, l4 + field, 2);
  CHECK(std::equal(expected.begin(), expected.end(), l4));
  CHECK(SlowSum(l4, length, SlowPseudoSum(frame, plan, original)) == 0xffff);
}

void CheckSegment(const Superframe& superframe, const SegmentPlan& plan, uint32_t segment, const Bytes& original) {
  const uint32_t payload_length = plan.PayloadLength(segment);
  if (plan.payload_length > 0) CHECK(payload_length >= 1 && payload_length <= plan.gso_size);
  Bytes header(plan.header_length);
  WriteSegmentHeader(superframe, plan, segment, header.data());
  const uint8_t* payload = superframe.data + plan.header_length + segment * plan.gso_size;
  CHECK(std::equal(header.begin(), header.begin() + plan.ip_offset, original.begin()));
  header.insert(header.end(), payload, payload + payload_length);
  CheckIp(header, plan, segment, original);
  CheckTransport(header, plan, segment, (superframe.gso_type & 0x10) != 0, original);
}

void FuzzSegments(Bytes& frame, FrameKind kind, const Control& control) {
  const Bytes original = frame;
  const Superframe superframe = {frame.data(), static_cast<uint32_t>(frame.size()), control.gso_type, control.gso_size,
                                 kind};
  SegmentPlan plan;
  if (!PlanSegments(superframe, plan)) return;
  CheckPlan(superframe, plan);
  uint32_t covered = 0;
  for (uint32_t i = 0; i < plan.count; i++) {
    covered += plan.PayloadLength(i);
    // A superframe may be cut into 65000; those in the middle are alike.
    if (i < 4 || i + 4 > plan.count) CheckSegment(superframe, plan, i, original);
  }
  CHECK(covered == plan.payload_length);
  CHECK(frame == original);
}

void FuzzSums(const Bytes& frame, const Control& control) {
  const size_t start = std::min<size_t>(control.csum_start, frame.size());
  const size_t length = frame.size() - start;
  const uint32_t expected = SlowSum(frame.data() + start, length, control.csum_offset);
  for (const ChecksumPath path : {ChecksumPath::kScalar, ChecksumPath::kAvx2, ChecksumPath::kNeon}) {
    if (!HasChecksumPath(path)) continue;
    const uint16_t initial = htobe16(control.csum_offset);
    CHECK(be16toh(FoldSum(AddBytesBy(path, frame.data() + start, length, initial))) == expected);
  }
}

// The sum of all, the field's old value instead of the new one, is the complement of the new one.
void FuzzCompletion(Bytes& frame, const Control& control) {
  const Bytes original = frame;
  const size_t field = size_t{control.csum_start} + control.csum_offset;
  const bool is_complete =
      CompleteChecksum(frame.data(), static_cast<uint32_t>(frame.size()), control.csum_start, control.csum_offset);
  CHECK(is_complete == (field + 2 <= frame.size()));
  if (is_complete) {
    const uint32_t sum = SlowSum(original.data() + control.csum_start, original.size() - control.csum_start);
    const uint32_t checksum = Get16(frame.data() + field);
    CHECK(checksum == (~sum & 0xffff) || (control.csum_offset == 6 && checksum == 0xffff && sum == 0xffff));
    CHECK(control.csum_offset != 6 || checksum != 0);
    memcpy(frame.data() + field, original.data() + field, 2);
  }
  CHECK(frame == original);
}

}  // namespace

}  // namespace vtepd

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  vtepd::Control control;
  if (size < sizeof(control)) return 0;
  memcpy(&control, data, sizeof(control));
  vtepd::Bytes frame(size - sizeof(control) + control.stretch);
  // Never from nothing: memcpy wants a pointer even for no bytes.
  if (size > sizeof(control)) memcpy(frame.data(), data + sizeof(control), size - sizeof(control));
  const bool is_ip_packet = (control.choices & vtepd::IP_PACKET) != 0;
  const vtepd::FrameKind kind = is_ip_packet ? vtepd::FrameKind::kIpPacket : vtepd::FrameKind::kEthernet;
  if ((control.choices & vtepd::REPAIR) != 0) vtepd::RepairLengths(frame, kind);
  vtepd::FuzzSegments(frame, kind, control);
  vtepd::FuzzSums(frame, control);
  vtepd::FuzzCompletion(frame, control);
  return 0;
}
