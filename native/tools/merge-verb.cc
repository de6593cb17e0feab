// The verb `merge UDP KIND FRAME...`: what becomes of frames that arrive in this order; UDP is 1 when the TAP takes UDP
// superframes, KIND `ethernet` or `ip`. The answer has seven words for each unit that would be written: gso_type,
// gso_size, header_length, csum_start, csum_offset, segments and bytes. They are 0 0 0 0 0 1 and the frame for one that
// stays alone.
#include <optional>

#include "../coalesce.h"
#include "verbs.h"

namespace vtepd::tools {

namespace {

// One unit, as it is written: the first frame's bytes after Finish and the payloads of the others.
void WriteUnit(const MergedFrame& merged, const std::vector<iovec>& parts, std::ostream& answer) {
  std::vector<uint8_t> bytes;
  for (const iovec& part : parts) {
    const uint8_t* const data = static_cast<const uint8_t*>(part.iov_base);
    bytes.insert(bytes.end(), data, data + part.iov_len);
  }
  for (const uint32_t word : {uint32_t{merged.gso_type}, uint32_t{merged.gso_size}, uint32_t{merged.header_length},
                              uint32_t{merged.csum_start}, uint32_t{merged.csum_offset}, merged.segments}) {
    answer << word << ' ';
  }
  WriteBytes(answer, bytes.data(), bytes.size());
}

}  // namespace

bool MergeVerb(std::istream& arguments, std::ostream& answer) {
  int merge_udp;
  if (!(arguments >> merge_udp) || (merge_udp != 0 && merge_udp != 1)) return false;
  const std::optional<FrameKind> kind = ReadKind(arguments);
  if (!kind) return false;
  std::vector<std::vector<uint8_t>> frames;
  while (!(arguments >> std::ws).eof()) {
    std::optional<std::vector<uint8_t>> frame = ReadBytes(arguments);
    if (!frame) return false;
    frames.push_back(std::move(*frame));
  }
  if (frames.empty()) return false;

  Group group(merge_udp == 1);
  std::vector<iovec> parts;
  const char* separator = "";
  const auto finish = [&] {
    MergedFrame merged{};
    size_t length = 0;
    for (const iovec& part : parts) length += part.iov_len;
    if (!group.Finish(merged)) merged = {0, 0, 0, 0, 0, static_cast<uint32_t>(length), 1};
    answer << separator;
    separator = " ";
    WriteUnit(merged, parts, answer);
    return merged.length == length && merged.segments == parts.size();
  };
  for (std::vector<uint8_t>& frame : frames) {
    const uint32_t length = static_cast<uint32_t>(frame.size());
    iovec payload;
    if (!parts.empty() && group.Append(frame.data(), length, payload)) {
      parts.push_back(payload);
      continue;
    }
    if (!parts.empty() && !finish()) return false;
    group.Start(frame.data(), length, *kind);
    parts.assign(1, {frame.data(), length});
  }
  return finish();
}

}  // namespace vtepd::tools
