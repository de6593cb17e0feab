#include "udp-receiver.h"

#include <cerrno>
#include <cstring>

#include "frame.h"

namespace vtepd {

namespace {

// As ::ffff:a.b.c.d, RFC 4291 section 2.5.5.2.
void WriteMapped(uint8_t* out, const in_addr& address) {
  memset(out, 0, 10);
  memset(out + 10, 0xff, 2);
  memcpy(out + 12, &address, 4);
}

}  // namespace

void UdpReceiver::Prepare(Memory& memory) {
  memory_ = &memory;
  for (int32_t i = 0; i < abi::BATCH_FRAMES; i++) {
    parts_[i] = {memory.Slot(i) + abi::SLOT_HEADROOM, abi::SLOT_BYTES - abi::SLOT_HEADROOM};
    msghdr& message = messages_[i].msg_hdr;
    message.msg_name = &sources_[i];
    message.msg_iov = &parts_[i];
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
  const uint32_t room = static_cast<uint32_t>(abi::BATCH_FRAMES - first);
  int got;
  do {
    got = recvmmsg(port.fd, messages_ + first, room, MSG_DONTWAIT, nullptr);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    if (errno == EAGAIN) return 0;
    // Any other error was pending on the socket, and is taken away by having been reported.
    memory_->AddStatus(abi::STATUS_RX_ERRORS, 1);
    if (errno == EBADF || errno == ENOTSOCK) state = PortState::kGone;
    return 0;
  }
  for (int32_t i = first; i < first + got; i++) {
    Describe(port, i);
    Rearm(i);
  }
  return got;
}

void UdpReceiver::Describe(Port& port, int32_t index) {
  msghdr& message = messages_[index].msg_hdr;
  const int32_t length = static_cast<int32_t>(messages_[index].msg_len);
  const int32_t header_length = static_cast<int32_t>(port.header_length);
  uint8_t* const datagram = static_cast<uint8_t*>(parts_[index].iov_base);
  abi::Frame& frame = memory_->FrameAt(index);
  frame.port = port.id;
  frame.header_offset = memory_->OffsetOf(datagram);
  frame.datagram_length = length;
  frame.offset = frame.header_offset + header_length;
  frame.length = length - header_length;
  DescribeWithChecksum(datagram + header_length, frame.length, frame);
  if ((message.msg_flags & MSG_TRUNC) != 0) frame.flags |= abi::FLAG_TRUNCATED;

  const sockaddr_in6& source = sources_[index];
  if (source.sin6_family == AF_INET) {
    WriteMapped(frame.source, reinterpret_cast<const sockaddr_in*>(&source)->sin_addr);
  } else {
    memcpy(frame.source, &source.sin6_addr, sizeof(frame.source));
  }
  frame.source_port = ntohs(source.sin6_port);  // At the same place for both families.
  frame.tos = 0;
  memset(frame.destination, 0, sizeof(frame.destination));
  ReadControl(port, message, frame);
}

void UdpReceiver::ReadControl(Port& port, msghdr& message, abi::Frame& frame) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    const uint8_t* data = CMSG_DATA(control);
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      memcpy(&info, data, sizeof(info));
      WriteMapped(frame.destination, info.ipi_addr);
    } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_TOS) {
      frame.tos = data[0];  // One byte here, an int in IPv6.
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      memcpy(&info, data, sizeof(info));
      memcpy(frame.destination, &info.ipi6_addr, sizeof(frame.destination));
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_TCLASS) {
      int traffic_class;
      memcpy(&traffic_class, data, sizeof(traffic_class));
      frame.tos = traffic_class;
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
  for (int i = 0; i < abi::BATCH_FRAMES; i++) {
    msghdr message{};
    if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return;
  }
}

}  // namespace vtepd
