// Frames to and from one queue of a TAP: one system call each, as TAP has no batch call (only vhost-net has one).
#ifndef VTEPD_TAP_QUEUE_H_
#define VTEPD_TAP_QUEUE_H_

#include <cstdint>

#include "memory.h"
#include "port.h"

namespace vtepd {

// Reads frames into the slots from `first` on and describes them, until the queue or the batch is at its end. Returns
// the number of frames; `state` says whether the device is still there.
int32_t ReadFrames(Port& port, Memory& memory, int32_t first, PortState& state);

// Writes one frame behind the vnet header its descriptor asks for. Returns 0 or an errno; `state` as above.
int32_t WriteFrame(const Port& port, const abi::Frame& frame, Bytes bytes, PortState& state);

}  // namespace vtepd

#endif  // VTEPD_TAP_QUEUE_H_
