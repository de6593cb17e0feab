// Datagrams out of a UDP socket or a packet socket: one recvmmsg for as many messages as there are slots. With UDP_GRO
// a message holds many datagrams of one sender, and neighbouring frames of one inner flow are merged into one frame
// (coalesce.h). A message of a packet socket begins with the outer headers (outer.h) and may hold a frame that the
// kernel has merged.
#ifndef VTEPD_UDP_RECEIVER_H_
#define VTEPD_UDP_RECEIVER_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "coalesce.h"
#include "esp.h"
#include "fragments.h"
#include "memory.h"
#include "parts.h"
#include "port.h"

namespace vtepd {

// Message i always receives into UDP slot i; the message headers are built once. What the kernel overwrites in a used
// header (name and control lengths, flags) is put back before its next use: a stale control length would make old
// control messages look new.
//
// Messages may hold more datagrams than the batch has descriptors: what is left waits in its slots, and nothing is
// received before it was described (`HasMore`, `Resume`).
class UdpReceiver {
 public:
  // All are borrowed for as long as the receiver lives.
  void Prepare(Memory& memory, Parts& parts, Esp& esp);

  // A new batch begins: slots whose datagrams were described are free.
  void BeginBatch() {
    if (!HasMore()) slots_used_ = 0;
  }
  bool HasRoom() const { return slots_used_ < abi::UDP_SLOTS; }

  // Receives and describes frames from descriptor `first` on. Returns their number; kGone when the descriptor is no
  // socket (any more). Only when there is room and nothing waits.
  int32_t Receive(Port& port, int32_t first, PortState& state);

  // Before the first port of packets is received from.
  void PrepareFragments() { fragments_.Prepare(); }

  // Whether datagrams wait to be described, and of which port they are.
  bool HasMore() const { return message_ < message_count_; }
  int32_t WaitingPort() const { return port_; }
  // Describes more of them.
  int32_t Resume(Port& port, int32_t first);
  // Throws them away: their port is no more.
  void Forget() {
    for (; HasMore(); message_++) Rearm(message_);
  }

  // Takes a pending error and the socket's error queue away, either of which keeps EPOLLERR set.
  static void ClearErrors(int fd);

 private:
  // Room for the destination address, the TOS, the drop counter and the segment size.
  static constexpr size_t CONTROL_BYTES = 128;
  static_assert(CMSG_SPACE(sizeof(in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t)) <=
                CONTROL_BYTES);

  // What all datagrams of a message have in common.
  struct Origin {
    uint8_t source[16];
    uint8_t destination[16];
    int32_t source_port;
    int32_t tos;
    uint32_t segment_size;  // Bytes of each datagram but the last.
    int32_t inner_gso;      // As FRAME_GSO.
    bool is_truncated;
    bool is_corrupt;
    bool is_vouched_for;  // Nobody need verify checksums of the payload.
    int32_t lost;         // Packets whose fragments were given up; the message is about nothing else then.
  };

  void Rearm(int32_t index);
  void ReadOrigin(Port& port, int32_t index);
  // False when there is nothing to describe.
  bool ReadOuterHeaders(Port& port, int32_t index);
  Fragments::Outcome TakeFragment(const Port& port, uint32_t link_header);
  void ReadControl(Port& port, msghdr& message);
  // Whether a GRE checksum has to be right and is not, as far as can be said before the frame is looked into.
  bool IsGreWrong(const Port& port, const uint8_t* datagram, uint32_t size, HeaderLayout::Extent header) const;
  void Describe(const Port& port, uint8_t* datagram, uint32_t size, HeaderLayout::Extent header,
                abi::Frame& frame) const;
  void DescribeSuperframe(abi::Frame& frame) const;
  void CloseGroup(Group& group, int32_t frame, int32_t first_part);

  Memory* memory_ = nullptr;
  Parts* parts_ = nullptr;
  Esp* esp_ = nullptr;
  Fragments fragments_;
  mmsghdr messages_[abi::UDP_SLOTS] = {};
  iovec buffers_[abi::UDP_SLOTS] = {};
  sockaddr_in6 sources_[abi::UDP_SLOTS] = {};
  alignas(cmsghdr) uint8_t controls_[abi::UDP_SLOTS][CONTROL_BYTES] = {};
  // Where describing goes on: datagram at offset_ of message message_, whose origin is known when offset_ is not 0.
  int32_t slots_used_ = 0;
  int32_t port_ = -1;
  int32_t message_ = 0;
  int32_t message_count_ = 0;
  uint32_t offset_ = 0;
  Bytes payload_ = {};
  Origin origin_ = {};
};

}  // namespace vtepd

#endif  // VTEPD_UDP_RECEIVER_H_
