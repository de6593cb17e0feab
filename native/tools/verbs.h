// The verbs of offload-tool. A request is one line of standard input, a verb and its arguments with spaces between, and
// is answered by one line of standard output. Bytes are hexadecimal digits, `-` where there are none.
#ifndef VTEPD_TOOLS_VERBS_H_
#define VTEPD_TOOLS_VERBS_H_

#include <cstddef>
#include <cstdint>
#include <istream>
#include <optional>
#include <ostream>
#include <vector>

#include "../frame-kind.h"

namespace vtepd::tools {

// Reads one word of bytes. Nothing when there is none or it is something else.
std::optional<std::vector<uint8_t>> ReadBytes(std::istream& arguments);

// Reads `ethernet` or `ip`: what frames begin with.
std::optional<FrameKind> ReadKind(std::istream& arguments);

// Writes them as ReadBytes reads them.
void WriteBytes(std::ostream& answer, const uint8_t* data, size_t length);

// Each reads its arguments from the rest of the line and writes the answer without the line's end. False when the
// arguments are wrong: what was written is then thrown away.

// `split GSO_TYPE GSO_SIZE KIND FRAME`: the segments with spaces between, or `refused`.
bool SplitVerb(std::istream& arguments, std::ostream& answer);

// `checksum PATH INITIAL SHIFT DATA`: the folded sum as a decimal number, or `absent` when this processor lacks the
// path (scalar, avx2, neon, best). The data are put SHIFT bytes behind the start of a block of memory.
bool ChecksumVerb(std::istream& arguments, std::ostream& answer);

// `complete START OFFSET FRAME`: the frame with its checksum, or `refused`.
bool CompleteVerb(std::istream& arguments, std::ostream& answer);

// `merge ...`: see merge-verb.cc.
bool MergeVerb(std::istream& arguments, std::ostream& answer);

// `fragments ...`: see fragments-verb.cc.
bool FragmentsVerb(std::istream& arguments, std::ostream& answer);

}  // namespace vtepd::tools

#endif  // VTEPD_TOOLS_VERBS_H_
