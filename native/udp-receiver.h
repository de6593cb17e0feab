// Datagrams out of a UDP socket, as many as a batch has room for in one recvmmsg.
#ifndef VTEPD_UDP_RECEIVER_H_
#define VTEPD_UDP_RECEIVER_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "memory.h"
#include "port.h"

namespace vtepd {

// Message i always receives into arena slot i; the message headers are built once. What the kernel overwrites in a used
// header (name and control lengths, flags) is put back before its next use: a stale control length would make old
// control messages look new.
class UdpReceiver {
 public:
  // `memory` is borrowed for as long as the receiver lives.
  void Prepare(Memory& memory);

  // Receives into the slots from `first` on and describes the frames. Returns their number; kGone when the descriptor
  // is no socket (any more).
  int32_t Receive(Port& port, int32_t first, PortState& state);

  // Takes a pending error and the socket's error queue away, either of which keeps EPOLLERR set.
  static void ClearErrors(int fd);

 private:
  // Room for the destination address, the TOS and the drop counter.
  static constexpr size_t CONTROL_BYTES = 128;
  static_assert(CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t)) <=
                CONTROL_BYTES);

  void Rearm(int32_t index);
  void Describe(Port& port, int32_t index);
  void ReadControl(Port& port, msghdr& message, abi::Frame& frame);

  Memory* memory_ = nullptr;
  mmsghdr messages_[abi::BATCH_FRAMES] = {};
  iovec parts_[abi::BATCH_FRAMES] = {};
  sockaddr_in6 sources_[abi::BATCH_FRAMES] = {};
  alignas(cmsghdr) uint8_t controls_[abi::BATCH_FRAMES][CONTROL_BYTES] = {};
};

}  // namespace vtepd

#endif  // VTEPD_UDP_RECEIVER_H_
