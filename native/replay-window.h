// Which sequence numbers an inbound association has taken: RFC 4303 section 3.4.3 and appendix A.
#ifndef VTEPD_REPLAY_WINDOW_H_
#define VTEPD_REPLAY_WINDOW_H_

#include <cstdint>

#include "abi.h"

namespace vtepd {

// The whole number of a datagram that carries its lower half; false when it is too old or was taken. It may be asked
// before the datagram is known to be genuine, and says nothing of the future: TakeSequence decides.
bool GuessSequence(abi::Association& association, uint32_t low, uint64_t& sequence);

// Takes a genuine datagram's number. False when another worker was faster, or the window has moved on.
bool TakeSequence(abi::Association& association, uint64_t sequence);

}  // namespace vtepd

#endif  // VTEPD_REPLAY_WINDOW_H_
