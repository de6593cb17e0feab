#include "udp-receiver.h"

#include <linux/if_packet.h>
#include <netinet/udp.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "frame.h"
#include "gre.h"
#include "outer.h"
#include "packet-filter.h"

// Linux 5.0; the headers of a build host may be older than the kernel below it.
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace vtepd {

namespace {

// As ::ffff:a.b.c.d, RFC 4291 section 2.5.5.2.
void WriteMapped(uint8_t* out, const void* address) {
  memset(out, 0, 10);
  memset(out + 10, 0xff, 2);
  memcpy(out + 12, address, 4);
}

// Headers that differ in nothing that matters; of ESP, which has opened both, only the association does.
bool AreOfOneFlow(const HeaderLayout& layout, const uint8_t* a, const uint8_t* b, uint32_t length) {
  return layout.IsSealed() ? memcmp(a, b, sizeof(uint32_t)) == 0 : layout.AreEqual(a, b, length);
}

// A sender on this host leaves an inner checksum unfinished but sums up as if it were not.
bool IsGreRightOnceFinished(const Port& port, const uint8_t* datagram, uint32_t size, HeaderLayout::Extent header,
                            const abi::Frame& frame) {
  if ((frame.flags & abi::FLAG_PARTIAL_CSUM) == 0) return false;
  const uint32_t prefix = port.header.Prefix();
  const uint32_t csum = static_cast<uint32_t>(frame.csum);
  return IsGreChecksumRightOnceFinished(datagram + prefix, size - prefix, header.length - prefix + (csum & 0xffff),
                                        csum >> 16);
}

}  // namespace

void UdpReceiver::Prepare(Memory& memory, Parts& parts, Esp& esp) {
  memory_ = &memory;
  parts_ = &parts;
  esp_ = &esp;
  for (int32_t i = 0; i < abi::UDP_SLOTS; i++) {
    buffers_[i] = {memory.UdpSlot(i) + abi::SLOT_HEADROOM, abi::SLOT_BYTES - abi::SLOT_HEADROOM};
    msghdr& message = messages_[i].msg_hdr;
    message.msg_name = &sources_[i];
    message.msg_iov = &buffers_[i];
    message.msg_iovlen = 1;
    message.msg_control = controls_[i];
    Rearm(i);
  }
}

void UdpReceiver::Rearm(int32_t index) {
  msghdr& message = messages_[index].msg_hdr;
  message.msg_namelen = sizeof(sockaddr_in6);
  message.msg_controllen = CONTROL_BYTES;
  message.msg_flags = 0;
}

int32_t UdpReceiver::Receive(Port& port, int32_t first, PortState& state) {
  int got;
  do {
    got = recvmmsg(port.fd, messages_ + slots_used_, static_cast<uint32_t>(abi::UDP_SLOTS - slots_used_), MSG_DONTWAIT,
                   nullptr);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    if (errno == EAGAIN) return 0;
    // Any other error was pending on the socket, and is taken away by having been reported.
    memory_->AddStatus(abi::STATUS_RX_ERRORS, 1);
    if (errno == EBADF || errno == ENOTSOCK) state = PortState::kGone;
    return 0;
  }
  port_ = port.id;
  message_ = slots_used_;
  slots_used_ += got;
  message_count_ = slots_used_;
  offset_ = 0;
  return Resume(port, first);
}

int32_t UdpReceiver::Resume(Port& port, int32_t first) {
  const bool merges = port.Has(abi::FEATURE_MERGE_TCP);
  Group group(port.Has(abi::FEATURE_MERGE_UDP));
  const uint8_t* group_header = nullptr;  // Tunnel header of the open group's first frame,
  uint32_t group_header_length = 0;       // and its bytes.
  int32_t group_first_part = 0;
  int32_t next = first;
  for (; message_ < message_count_; message_++) {
    if (offset_ == 0) {
      // What is read of a message with a fragment must be described at once: a second time it would be a repetition.
      if (next == abi::BATCH_FRAMES && port.kind == abi::PORT_PACKET_RX) break;
      const Origin before = origin_;
      payload_ = {static_cast<uint8_t*>(buffers_[message_].iov_base), messages_[message_].msg_len};
      if (port.kind == abi::PORT_PACKET_RX) {
        if (!ReadOuterHeaders(port, message_)) {
          origin_ = before;
          Rearm(message_);
          continue;
        }
      } else {
        ReadOrigin(port, message_);
      }
      // A group goes on across messages of one sender only.
      if (memcmp(&before, &origin_, offsetof(Origin, segment_size)) != 0) {
        if (group_header != nullptr) CloseGroup(group, next - 1, group_first_part);
        group_header = nullptr;
      }
    }
    do {
      uint8_t* const datagram = payload_.data + offset_;
      const uint32_t datagram_size = std::min(origin_.segment_size, payload_.length - offset_);
      uint32_t size = datagram_size;
      int32_t association = 1;
      if (port.header.IsSealed()) {
        // What is opened must be described at once: a second time it would be a replay.
        if (next == abi::BATCH_FRAMES) {
          if (group_header != nullptr) CloseGroup(group, next - 1, group_first_part);
          return next - first;
        }
        uint32_t packet_length;
        association = esp_->Open(datagram, size, packet_length);
        size = std::min(size, ESP_HEADER + packet_length);
      }
      const HeaderLayout::Extent header = port.header.Measure(datagram, size);
      const bool is_gre_wrong = IsGreWrong(port, datagram, size, header);
      const bool may_merge =
          size > header.length && !origin_.is_corrupt && !is_gre_wrong && origin_.inner_gso == 0 && association > 0;
      iovec part;
      // Equal headers say the same of what follows, so that a group is of one kind.
      if (group_header != nullptr && may_merge && header.length == group_header_length &&
          AreOfOneFlow(port.header, group_header, datagram, header.length) && parts_->HasRoom() &&
          group.Append(datagram + header.length, size - header.length, part)) {
        parts_->Append(part);
        offset_ += datagram_size;
        continue;
      }
      if (group_header != nullptr) CloseGroup(group, next - 1, group_first_part);
      group_header = nullptr;
      if (next == abi::BATCH_FRAMES) return next - first;
      parts_->Reset(next);
      abi::Frame& frame = memory_->FrameAt(next++);
      Describe(port, datagram, size, header, frame);
      if (port.header.IsSealed()) frame.association = association;
      if (is_gre_wrong && !IsGreRightOnceFinished(port, datagram, size, header, frame)) {
        frame.flags |= abi::FLAG_BAD_OUTER_CSUM;
      }
      if (origin_.inner_gso != 0) DescribeSuperframe(frame);
      if (merges && may_merge) {
        group.Start(datagram + header.length, size - header.length, header.kind);
        group_header = datagram;
        group_header_length = header.length;
        group_first_part = parts_->Used();
      }
      offset_ += datagram_size;
    } while (offset_ < payload_.length);
    offset_ = 0;
    Rearm(message_);
  }
  if (group_header != nullptr) CloseGroup(group, next - 1, group_first_part);
  return next - first;
}

void UdpReceiver::CloseGroup(Group& group, int32_t index, int32_t first_part) {
  MergedFrame merged;
  if (!group.Finish(merged)) return;
  abi::Frame& frame = memory_->FrameAt(index);
  Parts::Row& row = parts_->RowOf(index);
  row = {0, first_part, parts_->Used() - first_part};
  for (int32_t i = 0; i < row.count; i++) row.rest_length += static_cast<int32_t>(parts_->At(row.first + i).iov_len);
  // A padded first frame ends before its padding now.
  frame.length = static_cast<int32_t>(merged.length);
  frame.segments = static_cast<int32_t>(merged.segments);
  frame.flags |= abi::FLAG_PARTIAL_CSUM;
  frame.csum = merged.csum_start | merged.csum_offset << 16;
  frame.gso = merged.gso_size | merged.gso_type << 16;
}

void UdpReceiver::ReadOrigin(Port& port, int32_t index) {
  msghdr& message = messages_[index].msg_hdr;
  memset(&origin_, 0, sizeof(origin_));
  const sockaddr_in6& source = sources_[index];
  if (source.sin6_family == AF_INET) {
    WriteMapped(origin_.source, &reinterpret_cast<const sockaddr_in*>(&source)->sin_addr);
  } else if (!IN6_IS_ADDR_V4MAPPED(&source.sin6_addr)) {
    // The kernel lets IPv6 packets with a mapped source in, which here would mean an IPv4 VTEP: it stays no address at
    // all.
    memcpy(origin_.source, &source.sin6_addr, sizeof(origin_.source));
  }
  origin_.source_port = ntohs(source.sin6_port);  // At the same place for both families.
  origin_.is_truncated = (message.msg_flags & MSG_TRUNC) != 0;
  origin_.segment_size = UINT32_MAX;
  ReadControl(port, message);
}

bool UdpReceiver::IsGreWrong(const Port& port, const uint8_t* datagram, uint32_t size,
                             HeaderLayout::Extent header) const {
  if (size < header.length || !port.header.HasChecksum(datagram)) return false;
  // Merged by the kernel, or never sent: what is there now is not what was summed.
  if (origin_.inner_gso != 0 || origin_.is_vouched_for) return false;
  const uint32_t prefix = port.header.Prefix();
  return !IsGreChecksumRight(datagram + prefix, size - prefix);
}

void UdpReceiver::Describe(const Port& port, uint8_t* datagram, uint32_t size, HeaderLayout::Extent header,
                           abi::Frame& frame) const {
  frame.port = port.id;
  frame.header_offset = memory_->OffsetOf(datagram);
  frame.datagram_length = static_cast<int32_t>(size);
  frame.offset = frame.header_offset + static_cast<int32_t>(header.length);
  frame.length = frame.datagram_length - static_cast<int32_t>(header.length);
  frame.segments = 1;
  // A header may end behind the arena.
  DescribeWithChecksum(datagram + std::min(header.length, size), frame.length, header.kind, frame);
  if (origin_.is_truncated) frame.flags |= abi::FLAG_TRUNCATED;
  if (origin_.is_corrupt) frame.flags |= abi::FLAG_BAD_OUTER_CSUM;
  memcpy(frame.source, origin_.source, sizeof(frame.source));
  memcpy(frame.destination, origin_.destination, sizeof(frame.destination));
  frame.source_port = origin_.source_port;
  frame.tos = origin_.tos;
  if (origin_.lost == 0) return;
  frame.flags |= abi::FLAG_FRAGMENT;
  frame.segments = origin_.lost;
}

// The same from the packet itself. What the socket's filter should not have let through becomes a datagram that is too
// short for any header.
bool UdpReceiver::ReadOuterHeaders(Port& port, int32_t index) {
  msghdr& message = messages_[index].msg_hdr;
  memset(&origin_, 0, sizeof(origin_));
  origin_.segment_size = UINT32_MAX;
  origin_.is_truncated = (message.msg_flags & MSG_TRUNC) != 0;
  static_assert(sizeof(sockaddr_ll) <= sizeof(sources_[0]));
  const uint32_t link_header = LinkHeaderBytes(reinterpret_cast<const sockaddr_ll&>(sources_[index]).sll_hatype);
  ReadControl(port, message);  // The drop counter is all there is.
  Outer outer;
  bool is_read = ReadOuter(payload_.data, payload_.length, link_header, outer);
  if (!is_read) {
    const Fragments::Outcome outcome = TakeFragment(port, link_header);
    if (outcome == Fragments::Outcome::kWaiting || outcome == Fragments::Outcome::kInvalid) {
      origin_.lost = fragments_.TakeLost();
      payload_.length = 0;
      return origin_.lost != 0;
    }
    is_read = outcome == Fragments::Outcome::kComplete && ReadOuter(payload_.data, payload_.length, link_header, outer);
  }
  if (!is_read) {
    payload_.length = 0;
    return true;
  }
  payload_ = {payload_.data + outer.offset, outer.length};
  memcpy(origin_.source, outer.source, sizeof(origin_.source));
  memcpy(origin_.destination, outer.destination, sizeof(origin_.destination));
  origin_.source_port = outer.source_port;
  origin_.tos = outer.tos;
  origin_.is_corrupt = outer.is_corrupt;
  origin_.is_vouched_for = outer.is_vouched_for;
  origin_.segment_size = outer.segment_size;
  origin_.inner_gso = outer.inner_gso_size | outer.inner_gso_type << 16;
  return true;
}

Fragments::Outcome UdpReceiver::TakeFragment(const Port& port, uint32_t link_header) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return fragments_.Take(port.id, static_cast<int32_t>(now.tv_sec), link_header, payload_.data, payload_.length,
                         abi::SLOT_BYTES - abi::SLOT_HEADROOM);
}

// A superframe as the kernel has it: the sum of its pseudo-header is in the checksum field, which is how it was
// described. What says otherwise is left as it is, a frame that is too large.
void UdpReceiver::DescribeSuperframe(abi::Frame& frame) const {
  const int32_t payload = frame.length - (frame.headers & 0xffff);
  const int32_t gso_size = origin_.inner_gso & 0xffff;
  if ((frame.flags & abi::FLAG_PARTIAL_CSUM) == 0 || payload <= gso_size) return;
  frame.gso = origin_.inner_gso;
  frame.segments = (payload + gso_size - 1) / gso_size;
}

void UdpReceiver::ReadControl(Port& port, msghdr& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    const uint8_t* data = CMSG_DATA(control);
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      memcpy(&info, data, sizeof(info));
      WriteMapped(origin_.destination, &info.ipi_addr);
    } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_TOS) {
      origin_.tos = data[0];  // One byte here, an int in IPv6.
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      memcpy(&info, data, sizeof(info));
      memcpy(origin_.destination, &info.ipi6_addr, sizeof(origin_.destination));
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_TCLASS) {
      int traffic_class;
      memcpy(&traffic_class, data, sizeof(traffic_class));
      origin_.tos = traffic_class;
    } else if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_GRO) {
      int segment_size;
      memcpy(&segment_size, data, sizeof(segment_size));
      if (segment_size > 0) origin_.segment_size = static_cast<uint32_t>(segment_size);
    } else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL) {
      uint32_t dropped;
      memcpy(&dropped, data, sizeof(dropped));
      memory_->AddStatus(abi::STATUS_RX_OVERFLOW, dropped - port.overflow);
      port.overflow = dropped;
    }
  }
}

void UdpReceiver::ClearErrors(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  // A receive of no bytes removes one queued error; the bound keeps a peer that causes them from holding us here.
  for (int i = 0; i < abi::UDP_SLOTS; i++) {
    msghdr message{};
    if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return;
  }
}

}  // namespace vtepd
