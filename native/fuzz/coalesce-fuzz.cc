// Frames of one flow, bent in ways that the input chooses, go through Group; every superframe is split again. Checked:
// no byte is lost or changed, no frame changes places, what stays alone is untouched, and splitting gives back each
// frame except for what coalesce.cc says may differ.
//
// Input: a byte of choices for the flow, two bytes of payload size, then a byte of choices for each frame; each choice
// takes its own bytes from the input.
#include <endian.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "../coalesce.h"
#include "../segment.h"

namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint32_t MAX_FRAMES = 80;  // More than a group takes.
constexpr uint32_t MAX_PAYLOAD = 1500;

class Input {
 public:
  Input(const uint8_t* data, size_t size) : next_(data), end_(data + size) {}
  bool IsEmpty() const { return next_ == end_; }
  // Zeros when there is nothing left.
  uint32_t Take8() { return IsEmpty() ? 0 : *next_++; }
  uint32_t Take16() {
    const uint32_t high = Take8();
    return high << 8 | Take8();
  }

 private:
  const uint8_t* next_;
  const uint8_t* const end_;
};

struct Flow {
  bool is_ipv6, is_udp, merge_udp, dont_fragment, has_options;
  uint32_t tags;
  uint32_t payload_size;
  vtepd::FrameKind kind;
  uint32_t Ip() const { return kind == vtepd::FrameKind::kIpPacket ? 0 : 14 + 4 * tags; }
  uint32_t Transport() const { return Ip() + (is_ipv6 ? 40 : 20); }
  uint32_t ChecksumField() const { return Transport() + (is_udp ? 6 : 16); }
  uint32_t Payload() const { return Transport() + (is_udp ? 8 : has_options ? 32 : 20); }
};

Flow TakeFlow(Input& input) {
  const uint32_t choices = input.Take8();
  Flow flow;
  flow.is_ipv6 = (choices & 1) != 0;
  flow.is_udp = (choices & 2) != 0;
  flow.merge_udp = (choices & 4) != 0;
  flow.dont_fragment = (choices & 8) != 0;
  flow.has_options = (choices & 16) != 0;
  flow.tags = (choices >> 5) % 3;
  flow.kind = choices >> 5 == 7 ? vtepd::FrameKind::kIpPacket : vtepd::FrameKind::kEthernet;
  flow.payload_size = input.Take16() % MAX_PAYLOAD + 1;
  return flow;
}

void Put16(uint8_t* p, uint32_t value) {
  p[0] = static_cast<uint8_t>(value >> 8);
  p[1] = static_cast<uint8_t>(value);
}

void Put32(uint8_t* p, uint32_t value) {
  Put16(p, value >> 16);
  Put16(p + 2, value);
}

uint32_t Get16(const uint8_t* p) {
  return static_cast<uint32_t>(p[0] << 8 | p[1]);
}

// A sum of its own: byte by byte, big-endian.
uint32_t Sum(const uint8_t* data, size_t length, uint32_t sum) {
  for (size_t i = 0; i < length; i++) sum += i % 2 == 0 ? data[i] * 256U : data[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

void WriteChecksums(const Flow& flow, Bytes& frame) {
  uint8_t* const ip = frame.data() + flow.Ip();
  if (!flow.is_ipv6) {
    Put16(ip + 10, 0);
    Put16(ip + 10, ~Sum(ip, 20, 0));
  }
  uint8_t* const l4 = frame.data() + flow.Transport();
  uint8_t* const field = frame.data() + flow.ChecksumField();
  const size_t l4_length = frame.size() - flow.Transport();
  uint32_t sum = flow.is_ipv6 ? Sum(ip + 8, 32, 0) : Sum(ip + 12, 8, 0);
  sum += static_cast<uint32_t>(l4_length) + (flow.is_udp ? 17 : 6);
  Put16(field, 0);
  const uint32_t checksum = ~Sum(l4, l4_length, sum) & 0xffff;
  Put16(field, flow.is_udp && checksum == 0 ? 0xffff : checksum);
}

Bytes MakeFrame(const Flow& flow, uint32_t size, uint32_t sequence, uint32_t id) {
  Bytes frame(flow.Payload() + size);
  uint8_t* const ip = frame.data() + flow.Ip();
  if (flow.kind == vtepd::FrameKind::kEthernet) {
    for (size_t i = 0; i < 12; i++) frame[i] = static_cast<uint8_t>(i * 2);
    for (uint32_t i = 0; i < flow.tags; i++)
      Put32(frame.data() + 12 + 4 * i, i + 1 < flow.tags ? 0x88a80005 : 0x81000006);
    Put16(ip - 2, flow.is_ipv6 ? 0x86dd : 0x0800);
  }
  const uint32_t l4_length = static_cast<uint32_t>(frame.size()) - flow.Transport();
  const uint32_t protocol = flow.is_udp ? 17 : 6;
  if (flow.is_ipv6) {
    Put32(ip, 0x60012345);
    Put32(ip + 4, l4_length << 16 | protocol << 8 | 64);
    for (uint32_t i = 8; i < 40; i++) ip[i] = static_cast<uint8_t>(i);
  } else {
    Put32(ip, 0x45000000 | (20 + l4_length));
    Put32(ip + 4, (id & 0xffff) << 16 | (flow.dont_fragment ? 0x4000 : 0));
    Put32(ip + 8, 64U << 24 | protocol << 16);
    Put32(ip + 12, 0xc0000201);
    Put32(ip + 16, 0xc0000202);
  }
  uint8_t* const l4 = frame.data() + flow.Transport();
  Put32(l4, 40000U << 16 | 9999);
  if (flow.is_udp) {
    Put32(l4 + 4, l4_length << 16);
  } else {
    Put32(l4 + 4, sequence);
    Put32(l4 + 8, 0x01020304);
    Put32(l4 + 12, (flow.has_options ? 0x80100000 : 0x50100000) | 501);
    for (uint32_t i = 20; i < flow.Payload() - flow.Transport(); i++) l4[i] = i < 22 ? 1 : static_cast<uint8_t>(i);
  }
  for (uint32_t i = 0; i < size; i++) frame[flow.Payload() + i] = static_cast<uint8_t>(sequence + i * 7);
  return frame;
}

std::vector<Bytes> TakeFrames(Input& input, const Flow& flow) {
  std::vector<Bytes> frames;
  uint32_t sequence = 0xfffff000;  // It wraps around soon, as the identification does.
  uint32_t id = 0xfff8;
  while (!input.IsEmpty() && frames.size() < MAX_FRAMES) {
    const uint32_t choices = input.Take8();
    uint32_t size = flow.payload_size;
    if ((choices & 1) != 0) size = input.Take16() % (MAX_PAYLOAD + 1);
    if ((choices & 2) != 0) sequence += input.Take8();
    if ((choices & 4) != 0) id += input.Take8() - 1;
    Bytes frame = MakeFrame(flow, size, sequence, id);
    if ((choices & 8) != 0) frame[input.Take8() % frame.size()] ^= static_cast<uint8_t>(input.Take8());
    if ((choices & 16) != 0 && !flow.is_udp) frame[flow.Transport() + 13] ^= static_cast<uint8_t>(input.Take8());
    WriteChecksums(flow, frame);
    if ((choices & 32) != 0) frame[input.Take8() % frame.size()] ^= static_cast<uint8_t>(input.Take8());
    if ((choices & 64) != 0) frame.resize(frame.size() + input.Take8() % 8);
    if ((choices & 128) != 0) frame.resize(input.Take8() % (frame.size() + 1));
    frame.shrink_to_fit();
    frames.push_back(frame);
    sequence += size;
    id++;
  }
  return frames;
}

void Require(bool holds) {
  if (!holds) abort();
}

// The two zeros of one's complement.
bool IsSameChecksum(uint32_t a, uint32_t b) {
  return a == b || (a % 0xffff == 0 && b % 0xffff == 0);
}

// Makes the fields of `frame` that may differ from `original` equal to it, if they differ only as far as they may.
void AllowDifferences(const vtepd::SegmentPlan& plan, const Bytes& original, Bytes& frame) {
  const uint32_t field = plan.l4_offset + (plan.is_udp ? 6 : 16);
  if (IsSameChecksum(Get16(&original[field]), Get16(&frame[field]))) memcpy(&frame[field], &original[field], 2);
  if (plan.is_ipv6) return;
  uint8_t* const ip = &frame[plan.ip_offset];
  if ((Get16(ip + 6) & 0x4000) != 0) {
    const uint32_t sum = Get16(ip + 10) + Get16(ip + 4) + (~Get16(&original[plan.ip_offset + 4]) & 0xffff);
    memcpy(ip + 4, &original[plan.ip_offset + 4], 2);
    Put16(ip + 10, Sum(nullptr, 0, sum));
  }
  if (IsSameChecksum(Get16(&original[plan.ip_offset + 10]), Get16(ip + 10))) {
    memcpy(ip + 10, &original[plan.ip_offset + 10], 2);
  }
}

void CheckSuperframe(const vtepd::MergedFrame& merged, vtepd::FrameKind kind, const Bytes* originals, size_t count,
                     Bytes& bytes) {
  Require(merged.segments == count && count <= vtepd::Group::MAX_SEGMENTS && merged.length == bytes.size());
  const vtepd::Superframe superframe = {bytes.data(), merged.length, merged.gso_type, merged.gso_size, kind};
  vtepd::SegmentPlan plan;
  Require(vtepd::PlanSegments(superframe, plan));
  Require(plan.count == count && plan.header_length == merged.header_length && plan.l4_offset == merged.csum_start);
  Require(merged.csum_offset == (plan.is_udp ? 6 : 16));
  for (uint32_t i = 0; i < plan.count; i++) {
    Bytes frame(plan.header_length);
    vtepd::WriteSegmentHeader(superframe, plan, i, frame.data());
    const auto payload = bytes.begin() + plan.header_length + i * plan.gso_size;
    frame.insert(frame.end(), payload, payload + plan.PayloadLength(i));
    Require(frame.size() == originals[i].size());
    AllowDifferences(plan, originals[i], frame);
    Require(frame == originals[i]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const Flow flow = TakeFlow(input);
  const std::vector<Bytes> originals = TakeFrames(input, flow);
  std::vector<Bytes> frames = originals;

  vtepd::Group group(flow.merge_udp);
  size_t first = 0;  // Of the group.
  Bytes bytes;       // Payloads of its others.
  const auto finish = [&](size_t end) {
    vtepd::MergedFrame merged;
    const bool is_merged = group.Finish(merged);
    Require(is_merged == (end - first > 1));
    if (is_merged) {
      bytes.insert(bytes.begin(), frames[first].begin(), frames[first].end());
      CheckSuperframe(merged, flow.kind, &originals[first], end - first, bytes);
    } else {
      Require(frames[first] == originals[first]);
    }
    for (size_t i = first + 1; i < end; i++) Require(frames[i] == originals[i]);
    bytes.clear();
    first = end;
  };
  for (size_t i = 0; i < frames.size(); i++) {
    const uint32_t length = static_cast<uint32_t>(frames[i].size());
    iovec payload;
    if (i > 0 && group.Append(frames[i].data(), length, payload)) {
      uint8_t* const start = static_cast<uint8_t*>(payload.iov_base);
      Require(start >= frames[i].data() && start + payload.iov_len == frames[i].data() + length);
      bytes.insert(bytes.end(), start, start + payload.iov_len);
      continue;
    }
    if (i > 0) finish(i);
    group.Start(frames[i].data(), length, flow.kind);
  }
  if (!frames.empty()) finish(frames.size());
  return 0;
}
