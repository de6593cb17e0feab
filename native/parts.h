// The pieces of merged frames. A frame read from a TAP or received alone lies in one run of bytes; one that was merged
// (coalesce.h) is its first part, which has the headers, and the payloads of the others where they were received.
#ifndef VTEPD_PARTS_H_
#define VTEPD_PARTS_H_

#include <sys/uio.h>

#include <cstdint>

#include "abi.h"

namespace vtepd {

class Parts {
 public:
  // Every datagram of every message of a batch, if it comes to the worst.
  static constexpr int32_t MAX_PARTS = abi::UDP_SLOTS * 64;

  struct Row {
    int32_t rest_length = 0;  // Bytes of the other parts; the rest of the frame's length is the part with the headers.
    int32_t first = 0;        // The others: At(first) to At(first + count - 1).
    int32_t count = 0;        // 0: the frame is in one piece.
  };

  // Frame `frame` is in one piece again.
  void Reset(int32_t frame) { rows_[frame].count = 0; }
  Row& RowOf(int32_t frame) { return rows_[frame]; }
  const iovec& At(int32_t part) const { return parts_[part]; }

  // A new batch begins: all parts are free.
  void Clear() { used_ = 0; }
  bool HasRoom() const { return used_ < MAX_PARTS; }
  int32_t Used() const { return used_; }
  void Append(const iovec& part) { parts_[used_++] = part; }

 private:
  Row rows_[abi::FRAME_ROWS] = {};
  iovec parts_[MAX_PARTS] = {};
  int32_t used_ = 0;
};

}  // namespace vtepd

#endif  // VTEPD_PARTS_H_
