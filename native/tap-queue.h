// Frames to and from one queue of a TAP, or IP packets to and from one of a TUN: one system call each, as they have no
// batch call (only vhost-net has one). With offloads a frame is a superframe of many segments, and the call carries all
// of them.
#ifndef VTEPD_TAP_QUEUE_H_
#define VTEPD_TAP_QUEUE_H_

#include <cstdint>

#include "memory.h"
#include "parts.h"
#include "port.h"

namespace vtepd {

// Reads frames into the TAP slots from `slot` on and describes them from descriptor `first` on, until the queue, the
// slots or the batch is at its end. Returns the number of frames and advances `slot`; `state` says whether the device
// is still there.
int32_t ReadFrames(Port& port, Memory& memory, Parts& parts, int32_t first, int32_t& slot, PortState& state);

// Writes one frame, all parts of it, behind the vnet header its descriptor asks for; to a TAP without vnet headers,
// what it leaves undone is done first. Returns 0 or an errno; `state` as above. `bytes` is the frame if it is in one
// piece.
int32_t WriteFrame(const Port& port, abi::Frame& frame, Bytes bytes, const Parts::Row& row, const Parts& parts,
                   PortState& state);

}  // namespace vtepd

#endif  // VTEPD_TAP_QUEUE_H_
