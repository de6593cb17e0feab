// Datagrams into UDP sockets and raw sockets: header template and frame are gathered by sendmmsg, one call per port
// where all goes well. Where the socket can (UDP_SEGMENT), one message carries many datagrams: the segments of a
// superframe, or a run of frames of equal size to one destination.
#ifndef VTEPD_UDP_SENDER_H_
#define VTEPD_UDP_SENDER_H_

#include <sys/socket.h>

#include <cstdint>
#include <vector>

#include "esp.h"
#include "memory.h"
#include "port.h"
#include "segment.h"

namespace vtepd {

// Queues the actions of one `send` by port (linked lists through next_, so that each port keeps its order), then sends
// port after port. Each datagram is two pieces: what is prepended (a template, or a template and the headers of a
// segment in headers_, where GRE's checksum and sequence number are filled in too) and the bytes in the arena; payload
// is never copied. When one of the fixed tables below is full, what is built is sent and building goes on.
//
// Holds no frame beyond the call: it borrows arena, templates and addresses until Flush returns.
class UdpSender {
 public:
  // Both are borrowed for as long as the sender lives.
  void Prepare(Memory& memory, Esp& esp);
  // Makes room for what ESP seals, once.
  void PrepareSealing();

  // Appends action `index` to its port. Returns 0 or EINVAL, when an index in the action is out of bounds.
  int32_t Queue(Port& port, int32_t index, Bytes frame);

  // Sends all that is queued on the port and fills in ACTION_RESULT. Returns how many failed.
  int32_t Flush(Port& port);

 private:
  // Without UDP_SEGMENT a superframe is a message for each segment.
  static constexpr int32_t MAX_MESSAGES = 2048;
  static constexpr int32_t MAX_DATAGRAMS = 2048;
  static constexpr uint32_t HEADER_BYTES = 256 * 1024;
  // UDP_MAX_SEGMENTS of kernels before 6.9; later ones take 128.
  static constexpr uint32_t MAX_SEGMENTS = 64;
  // The largest UDP payload over IPv4, which is a little below that over IPv6.
  static constexpr uint32_t MAX_PAYLOAD = 65507;
  // The packets of a superframe of 64 KiB with ESP's overhead, several times.
  static constexpr uint32_t SEALED_BYTES = 2048 * 1024;

  // A message under construction, beside its mmsghdr.
  struct Message {
    int32_t first_action;  // Positions in actions_ that it carries, first_action..end_action-1.
    int32_t end_action;
    uint32_t datagrams;
    uint32_t segment_size;  // Bytes of each datagram but the last.
    uint32_t bytes;
    int32_t outer;     // ACTION_OUTER of all its actions.
    uint32_t label;    // Outer flow label of all its actions, 0 for the host's.
    uint32_t control;  // Bytes of control messages for it.
    bool is_open;      // More frames of the same size may follow.
  };

  void Reset();
  // Both return false when a table is full; nothing was added then.
  bool AddFrame(Port& port, int32_t action);
  bool AddSuperframe(Port& port, int32_t action);
  // The same for both, each datagram a packet inside ESP (sealed-sender.cc).
  bool AddSealed(Port& port, int32_t action);
  // Appends a datagram to the last message where it fits there, else to a new one.
  void Append(Port& port, int32_t action, const iovec& header, const iovec& payload);
  bool HasRoom(uint32_t datagrams, uint32_t messages) const;
  Message& NewMessage(int32_t action, uint32_t segment_size);
  uint32_t WriteOuterControl(int32_t message, int32_t outer, uint32_t label, bool is_ipv6);
  // What OUTER_FLOW_LABEL asks for; 0 where there is none.
  uint32_t LabelOf(int32_t action, int32_t outer) const;
  // While anybody in the namespace holds a flow label for itself alone, the kernel takes no label that was not leased.
  void DropLabel(int32_t message);
  void WriteSegmentSize(int32_t message);
  void AddDatagram(Message& message, const iovec& header, const iovec& payload);
  int32_t SendMessages(Port& port);
  int32_t SendOneByOne(Port& port, int32_t message);
  bool IsRefusal(Port& port, const Message& message, int error);
  // Writes one result for the actions of messages first..end-1 and returns how many of them had none before.
  int32_t Fail(int32_t first, int32_t end, int result);

  Memory* memory_ = nullptr;
  Esp* esp_ = nullptr;
  // By action: its template, its frame, its destination, and the next action on the same port.
  iovec templates_[abi::MAX_ACTIONS] = {};
  iovec frames_[abi::MAX_ACTIONS] = {};
  sockaddr* destinations_[abi::MAX_ACTIONS] = {};
  int32_t next_[abi::MAX_ACTIONS] = {};
  // In the order of sending, for one port at a time.
  int32_t actions_[abi::MAX_ACTIONS] = {};
  int32_t action_count_ = 0;
  mmsghdr headers_of_[MAX_MESSAGES] = {};
  Message messages_[MAX_MESSAGES] = {};
  int32_t message_count_ = 0;
  // By message: TOS, TTL and flow label where the action says so, then the segment size where it has several datagrams.
  alignas(cmsghdr) uint8_t controls_[MAX_MESSAGES][3 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t))] = {};
  iovec pieces_[MAX_DATAGRAMS * 2] = {};
  uint32_t datagram_count_ = 0;
  uint8_t headers_[HEADER_BYTES] = {};
  uint32_t header_bytes_ = 0;
  // Sealed datagrams; empty until a port needs it.
  std::vector<uint8_t> sealed_;
  uint32_t sealed_bytes_ = 0;
};

}  // namespace vtepd

#endif  // VTEPD_UDP_SENDER_H_
