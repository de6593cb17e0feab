// `split`, `checksum` and `complete`: segment.h and checksum.h by hand.
#include <cstring>
#include <string>

#include "../checksum.h"
#include "../segment.h"
#include "verbs.h"

namespace vtepd::tools {

namespace {

std::optional<ChecksumPath> ReadPath(std::istream& arguments) {
  std::string name;
  arguments >> name;
  if (name == "scalar") return ChecksumPath::kScalar;
  if (name == "avx2") return ChecksumPath::kAvx2;
  if (name == "neon") return ChecksumPath::kNeon;
  if (name == "best") return BestChecksumPath();
  return std::nullopt;
}

}  // namespace

bool SplitVerb(std::istream& arguments, std::ostream& answer) {
  uint32_t gso_type;
  uint32_t gso_size;
  if (!(arguments >> gso_type >> gso_size) || gso_type > 0xff || gso_size > 0xffff) return false;
  const std::optional<FrameKind> kind = ReadKind(arguments);
  if (!kind) return false;
  std::optional<std::vector<uint8_t>> frame = ReadBytes(arguments);
  if (!frame) return false;
  const Superframe superframe = {frame->data(), static_cast<uint32_t>(frame->size()), static_cast<uint8_t>(gso_type),
                                 static_cast<uint16_t>(gso_size), *kind};
  SegmentPlan plan;
  if (!PlanSegments(superframe, plan)) {
    answer << "refused";
    return true;
  }
  for (uint32_t i = 0; i < plan.count; i++) {
    std::vector<uint8_t> header(plan.header_length);
    WriteSegmentHeader(superframe, plan, i, header.data());
    const uint8_t* payload = superframe.data + plan.header_length + i * plan.gso_size;
    header.insert(header.end(), payload, payload + plan.PayloadLength(i));
    if (i > 0) answer << ' ';
    WriteBytes(answer, header.data(), header.size());
  }
  return true;
}

bool ChecksumVerb(std::istream& arguments, std::ostream& answer) {
  const std::optional<ChecksumPath> path = ReadPath(arguments);
  uint32_t initial;
  uint32_t shift;
  if (!path || !(arguments >> initial >> shift) || shift > 4096) return false;
  const std::optional<std::vector<uint8_t>> data = ReadBytes(arguments);
  if (!data) return false;
  std::vector<uint8_t> block(shift + data->size());
  if (!data->empty()) memcpy(block.data() + shift, data->data(), data->size());
  if (HasChecksumPath(*path)) {
    answer << FoldSum(AddBytesBy(*path, block.data() + shift, data->size(), initial));
  } else {
    answer << "absent";
  }
  return true;
}

bool CompleteVerb(std::istream& arguments, std::ostream& answer) {
  uint32_t csum_start;
  uint32_t csum_offset;
  if (!(arguments >> csum_start >> csum_offset)) return false;
  std::optional<std::vector<uint8_t>> frame = ReadBytes(arguments);
  if (!frame) return false;
  if (CompleteChecksum(frame->data(), static_cast<uint32_t>(frame->size()), csum_start, csum_offset)) {
    WriteBytes(answer, frame->data(), frame->size());
  } else {
    answer << "refused";
  }
  return true;
}

}  // namespace vtepd::tools
