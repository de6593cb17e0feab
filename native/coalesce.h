// Merges received frames of one flow into a superframe, the reverse of segment.h: one write to a TAP instead
// of many. Rules as the kernel's GRO (net/ipv4/tcp_offload.c, udp_offload.c) and performance reference 4.2; what must
// not be merged is left exactly as it came.
#ifndef VTEPD_COALESCE_H_
#define VTEPD_COALESCE_H_

#include <sys/uio.h>

#include <cstdint>

#include "abi.h"
#include "frame-kind.h"

namespace vtepd {

// What a group became: fields of the vnet header to write it with.
struct MergedFrame {
  uint8_t gso_type;        // virtio_net_hdr: 1 TCPv4, 4 TCPv6, 5 UDP_L4
  uint16_t gso_size;       // payload bytes of each segment but the last
  uint16_t header_length;  // the frame's start to the end of the TCP/UDP header, bytes
  uint16_t csum_start;
  uint16_t csum_offset;
  uint32_t length;    // of the superframe
  uint32_t segments;  // frames in it, at least 2
};

// One group at a time: frames are offered in the order in which they came, so "append or flush" keeps every order.
// Borrows the frames' memory from Start to Finish and writes only to the headers of the first.
class Group {
 public:
  static constexpr uint32_t MAX_SEGMENTS = 64;

  // `merge_udp`: whether the TAP takes UDP superframes (USO).
  explicit Group(bool merge_udp) : merge_udp_(merge_udp) {}

  // Begins a group with this frame, whatever it is. The one before must be finished.
  void Start(uint8_t* frame, uint32_t length, FrameKind kind);

  // Tries to add the next frame, which must be of the first one's kind. True: it belongs to the group now, and
  // `payload` is what of it is written behind the group's other parts. False: it stays on its own and must start the
  // next group.
  bool Append(uint8_t* frame, uint32_t length, iovec& payload);

  // Ends the group. True when frames were merged: the first frame's headers are those of the superframe now (lengths,
  // IP checksum, FIN and PSH of all, the pseudo-header sum in the TCP or UDP checksum field) and `merged` is filled in.
  // False when the first frame is alone: it is untouched.
  bool Finish(MergedFrame& merged);

 private:
  // Reads the first frame's headers. False when it cannot begin a superframe.
  bool ReadFirst();
  bool IsSameFlow(const uint8_t* frame) const;
  bool LengthsAgree(const uint8_t* frame, uint32_t length) const;
  bool IsNext(const uint8_t* frame) const;
  bool ChecksumsAreRight(const uint8_t* frame, uint32_t length) const;
  // The frame's IPv4 identification minus the first one's, mod 2^16.
  uint16_t IdentificationStep(const uint8_t* frame) const;
  // The folded sum of the pseudo-header, in memory order.
  uint16_t PseudoHeaderSum(uint32_t l4_length) const;
  void WriteIpHeader(uint8_t* ip, uint32_t l4_length) const;

  // Of the first frame, read when a second one comes.
  enum class State { kUnread, kUnverified, kOpen, kClosed };

  const bool merge_udp_;
  State state_ = State::kClosed;
  uint8_t* first_ = nullptr;
  uint32_t first_length_ = 0;
  FrameKind kind_ = FrameKind::kEthernet;
  bool is_ipv6_ = false;
  bool is_udp_ = false;
  bool identification_is_fixed_ = false;  // Decided by the second frame.
  uint8_t last_flags_ = 0;                // TCP: FIN and PSH of the frame that closed the group.
  uint32_t ip_offset_ = 0;
  uint32_t l4_offset_ = 0;
  uint32_t header_length_ = 0;
  uint32_t gso_size_ = 0;
  uint32_t payload_length_ = 0;  // Of all frames.
  uint32_t segments_ = 0;
  uint32_t constant_sum_ = 0;  // The pseudo-header without its length.
};

}  // namespace vtepd

#endif  // VTEPD_COALESCE_H_
