// Datagrams into UDP sockets: header template and frame are gathered by sendmmsg, one call per port where all goes
// well.
#ifndef VTEPD_UDP_SENDER_H_
#define VTEPD_UDP_SENDER_H_

#include <sys/socket.h>

#include <cstdint>

#include "memory.h"
#include "port.h"

namespace vtepd {

// Queues the actions of one `send` by port (linked lists through next_, so that each port keeps its order), then sends
// port after port. Holds no frame beyond the call: it borrows arena, templates and addresses until Flush returns.
class UdpSender {
 public:
  // `memory` is borrowed for as long as the sender lives.
  void Prepare(Memory& memory);

  // Appends action `index` to its port. Returns 0 or EINVAL, when an index in the action is out of bounds.
  int32_t Queue(Port& port, int32_t index, Bytes frame);

  // Sends all that is queued on the port and fills in ACTION_RESULT. Returns how many failed.
  int32_t Flush(Port& port);

 private:
  int32_t Gather(Port& port);
  // Writes one result for messages first..end-1 and returns their number.
  int32_t Settle(int32_t first, int32_t end, int result);

  Memory* memory_ = nullptr;
  // By action: its template and frame, its destination, and the next action on the same port.
  iovec parts_[abi::MAX_ACTIONS][2] = {};
  sockaddr* destinations_[abi::MAX_ACTIONS] = {};
  int32_t next_[abi::MAX_ACTIONS] = {};
  // In the order of sending, for one port at a time: the message, and the action it belongs to.
  mmsghdr messages_[abi::MAX_ACTIONS] = {};
  int32_t actions_[abi::MAX_ACTIONS] = {};
};

}  // namespace vtepd

#endif  // VTEPD_UDP_SENDER_H_
