#include "udp-sender.h"

#include <netinet/in.h>

#include <cerrno>

namespace vtepd {

void UdpSender::Prepare(Memory& memory) {
  memory_ = &memory;
  for (mmsghdr& message : messages_) message.msg_hdr.msg_iovlen = 2;
}

int32_t UdpSender::Queue(Port& port, int32_t index, Bytes frame) {
  const abi::Action& action = memory_->ActionAt(index);
  const Bytes header = memory_->TemplateBytes(action);
  uint8_t* const address = memory_->VtepAddress(Memory::Load(action.vtep));
  if (header.data == nullptr || address == nullptr) return EINVAL;
  parts_[index][0] = {header.data, header.length};
  parts_[index][1] = {frame.data, frame.length};
  destinations_[index] = reinterpret_cast<sockaddr*>(address);
  next_[index] = -1;
  if (port.first_action < 0) {
    port.first_action = index;
  } else {
    next_[port.last_action] = index;
  }
  port.last_action = index;
  return 0;
}

int32_t UdpSender::Gather(Port& port) {
  int32_t count = 0;
  for (int32_t index = port.first_action; index >= 0; index = next_[index]) {
    msghdr& message = messages_[count].msg_hdr;
    message.msg_name = destinations_[index];
    // The kernel refuses other families; it needs to know only how much to read.
    message.msg_namelen = destinations_[index]->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    message.msg_iov = parts_[index];
    actions_[count++] = index;
  }
  port.first_action = -1;
  port.last_action = -1;
  return count;
}

int32_t UdpSender::Settle(int32_t first, int32_t end, int result) {
  for (int32_t i = first; i < end; i++) memory_->ActionAt(actions_[i]).result = result;
  return end - first;
}

int32_t UdpSender::Flush(Port& port) {
  const int32_t count = Gather(port);
  int32_t failed = 0;
  int32_t next = 0;
  bool retried = false;
  while (next < count) {
    // sendmmsg stops at the first message that fails and hides its error when others went before: the next call, which
    // starts with that message, tells.
    const int sent = sendmmsg(port.fd, messages_ + next, static_cast<uint32_t>(count - next), MSG_DONTWAIT);
    if (sent > 0) {
      Settle(next, next + sent, 0);
      next += sent;
      retried = false;
      continue;
    }
    const int error = sent == 0 ? EIO : errno;
    if (error == EINTR) continue;
    // The send queue is full, and waiting is not for us: what is left is lost, and counted.
    if (error == EAGAIN || error == ENOBUFS || error == ENOMEM) return failed + Settle(next, count, error);
    // The error may be about an earlier datagram (an ICMP message came back) and was left on the socket for the next
    // call to find: try once more before blaming this message.
    if (!retried) {
      retried = true;
      continue;
    }
    failed += Settle(next, next + 1, error);
    next++;
    retried = false;
  }
  return failed;
}

}  // namespace vtepd
