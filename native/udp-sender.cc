#include "udp-sender.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "gre.h"

// Linux 4.18; the headers of a build host may be older than the kernel below it.
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
// From linux/in6.h, which clashes with netinet/in.h.
#ifndef IPV6_FLOWINFO
#define IPV6_FLOWINFO 11
#endif

namespace vtepd {

namespace {

// A socket that refused UDP_SEGMENT so often in a row, for this errno or that, will not take it again.
constexpr uint32_t MAX_REFUSALS = 16;

uint32_t WriteControl(uint8_t* at, int level, int type, const void* value, size_t size) {
  cmsghdr* const control = reinterpret_cast<cmsghdr*>(at);
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(control), value, size);
  return CMSG_SPACE(size);
}

// ACTION_OUTER: what is filled in here, in a copy of the template.
constexpr int32_t OUTER_GRE = abi::OUTER_GRE_CHECKSUM | abi::OUTER_GRE_SEQUENCE;

// Whether a template of so many bytes has the fields that are to be filled in. The bound is above any GRE header's and
// its prefix's length.
bool IsGreTemplate(const Port& port, uint32_t length) {
  constexpr uint32_t MAX_TEMPLATE = 256;
  const uint32_t prefix = port.header.Prefix();
  return length >= prefix + GRE + sizeof(uint32_t) && length <= MAX_TEMPLATE && (length - prefix) % 2 == 0;
}

// `header`: the template's copy and, in a segment, the frame's headers behind it.
void FillGre(Port& port, int32_t outer, const iovec& header, uint32_t template_length, const iovec& payload) {
  uint8_t* const start = static_cast<uint8_t*>(header.iov_base);
  if ((outer & abi::OUTER_GRE_SEQUENCE) != 0) WriteGreSequence(start + template_length, port.sequence++);
  if ((outer & abi::OUTER_GRE_CHECKSUM) == 0) return;
  const uint32_t prefix = port.header.Prefix();
  WriteGreChecksum(start + prefix, static_cast<uint32_t>(header.iov_len) - prefix,
                   static_cast<const uint8_t*>(payload.iov_base), static_cast<uint32_t>(payload.iov_len));
}

uint32_t GsoOf(const abi::Frame& frame) {
  return static_cast<uint32_t>(Memory::Load(frame.gso));
}

}  // namespace

void UdpSender::Prepare(Memory& memory, Esp& esp) {
  memory_ = &memory;
  esp_ = &esp;
}

int32_t UdpSender::Queue(Port& port, int32_t index, Bytes frame) {
  const abi::Action& action = memory_->ActionAt(index);
  const Bytes header = memory_->TemplateBytes(action);
  uint8_t* const address = memory_->VtepAddress(Memory::Load(action.vtep));
  if (header.data == nullptr || address == nullptr) return EINVAL;
  templates_[index] = {header.data, header.length};
  frames_[index] = {frame.data, frame.length};
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

int32_t UdpSender::Flush(Port& port) {
  int32_t failed = 0;
  int32_t action = port.first_action;
  port.first_action = -1;
  port.last_action = -1;
  while (action >= 0) {
    Reset();
    while (action >= 0) {
      const int32_t frame = Memory::Load(memory_->ActionAt(action).frame);
      const bool is_superframe = GsoOf(memory_->FrameAt(frame)) != 0;
      if (!(port.header.IsSealed() ? AddSealed(port, action)
            : is_superframe        ? AddSuperframe(port, action)
                                   : AddFrame(port, action))) {
        break;
      }
      failed += memory_->ActionAt(action).result != 0 ? 1 : 0;
      action = next_[action];
    }
    failed += SendMessages(port);
  }
  return failed;
}

void UdpSender::Reset() {
  action_count_ = 0;
  message_count_ = 0;
  datagram_count_ = 0;
  header_bytes_ = 0;
  sealed_bytes_ = 0;
}

bool UdpSender::HasRoom(uint32_t datagrams, uint32_t messages) const {
  return datagram_count_ + datagrams <= MAX_DATAGRAMS &&
         message_count_ + static_cast<int32_t>(messages) <= MAX_MESSAGES;
}

UdpSender::Message& UdpSender::NewMessage(int32_t action, uint32_t segment_size) {
  msghdr& header = headers_of_[message_count_].msg_hdr;
  header.msg_name = destinations_[action];
  // The kernel refuses other families; it needs to know only how much to read.
  header.msg_namelen = destinations_[action]->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  header.msg_iov = pieces_ + datagram_count_ * 2;
  header.msg_iovlen = 0;
  const int32_t outer = Memory::Load(memory_->ActionAt(action).outer);
  const uint32_t label = LabelOf(action, outer);
  const bool is_ipv6 = destinations_[action]->sa_family == AF_INET6;
  const uint32_t control = outer == 0 ? 0 : WriteOuterControl(message_count_, outer, label, is_ipv6);
  header.msg_control = control == 0 ? nullptr : controls_[message_count_];
  header.msg_controllen = control;
  Message& message = messages_[message_count_++];
  message = {action_count_ - 1, action_count_, 0, segment_size, 0, outer, label, control, false};
  return message;
}

// Returns the bytes written.
uint32_t UdpSender::WriteOuterControl(int32_t message, int32_t outer, uint32_t label, bool is_ipv6) {
  const int tos = outer & 255;
  const int ttl = outer >> 8 & 255;
  const int level = is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP;
  uint32_t used = 0;
  if ((outer & abi::OUTER_TOS) != 0) {
    used += WriteControl(controls_[message], level, is_ipv6 ? IPV6_TCLASS : IP_TOS, &tos, sizeof(tos));
  }
  // The kernel takes no TTL of 0.
  if ((outer & abi::OUTER_TTL) != 0 && ttl != 0) {
    used += WriteControl(controls_[message] + used, level, is_ipv6 ? IPV6_HOPLIMIT : IP_TTL, &ttl, sizeof(ttl));
  }
  if (label != 0) {
    const uint32_t flow_info = htonl(label);
    used += WriteControl(controls_[message] + used, IPPROTO_IPV6, IPV6_FLOWINFO, &flow_info, sizeof(flow_info));
  }
  return used;
}

uint32_t UdpSender::LabelOf(int32_t action, int32_t outer) const {
  constexpr uint32_t LABEL_MASK = 0xfffff;
  if ((outer & abi::OUTER_FLOW_LABEL) == 0 || destinations_[action]->sa_family != AF_INET6) return 0;
  const abi::Frame& frame = memory_->FrameAt(Memory::Load(memory_->ActionAt(action).frame));
  const uint32_t at = static_cast<uint32_t>(Memory::Load(frame.inner_ip)) >> 16 & 255;
  uint32_t first_word = 0;
  if ((Memory::Load(frame.flags) & abi::FLAG_IPV6) == 0 || at + sizeof(first_word) > frames_[action].iov_len) return 0;
  memcpy(&first_word, static_cast<const uint8_t*>(frames_[action].iov_base) + at, sizeof(first_word));
  return ntohl(first_word) & LABEL_MASK;
}

void UdpSender::AddDatagram(Message& message, const iovec& header, const iovec& payload) {
  iovec* const pieces = pieces_ + datagram_count_++ * 2;
  pieces[0] = header;
  pieces[1] = payload;
  message.datagrams++;
  message.bytes += static_cast<uint32_t>(header.iov_len + payload.iov_len);
  const int32_t index = static_cast<int32_t>(&message - messages_);
  headers_of_[index].msg_hdr.msg_iovlen += 2;
  if (message.datagrams == 2) WriteSegmentSize(index);
}

void UdpSender::WriteSegmentSize(int32_t index) {
  const Message& message = messages_[index];
  msghdr& msg = headers_of_[index].msg_hdr;
  const uint16_t size = static_cast<uint16_t>(message.segment_size);
  msg.msg_control = controls_[index];
  msg.msg_controllen =
      message.control + WriteControl(controls_[index] + message.control, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
}

void UdpSender::DropLabel(int32_t index) {
  Message& message = messages_[index];
  msghdr& msg = headers_of_[index].msg_hdr;
  message.label = 0;
  message.control = WriteOuterControl(index, message.outer, 0, true);
  msg.msg_control = message.control == 0 ? nullptr : controls_[index];
  msg.msg_controllen = message.control;
  if (message.datagrams > 1) WriteSegmentSize(index);
}

void UdpSender::Append(Port& port, int32_t action, const iovec& header, const iovec& payload) {
  const int32_t outer = Memory::Load(memory_->ActionAt(action).outer);
  const uint32_t size = static_cast<uint32_t>(header.iov_len + payload.iov_len);
  Message* message = message_count_ > 0 ? &messages_[message_count_ - 1] : nullptr;
  if (message == nullptr || !message->is_open || size > message->segment_size || message->datagrams == MAX_SEGMENTS ||
      message->bytes + size > MAX_PAYLOAD || message->outer != outer || message->label != LabelOf(action, outer) ||
      headers_of_[message_count_ - 1].msg_hdr.msg_name != static_cast<void*>(destinations_[action])) {
    message = &NewMessage(action, size);
    message->is_open = port.Has(abi::FEATURE_SEGMENT);
  }
  AddDatagram(*message, header, payload);
  message->end_action = action_count_;
  if (size < message->segment_size) message->is_open = false;  // Only the last may be shorter.
}

bool UdpSender::AddFrame(Port& port, int32_t action) {
  const int32_t outer = Memory::Load(memory_->ActionAt(action).outer);
  iovec header = templates_[action];
  const uint32_t template_length = static_cast<uint32_t>(header.iov_len);
  const bool has_gre = (outer & OUTER_GRE) != 0;
  if (has_gre && !IsGreTemplate(port, template_length)) {
    memory_->ActionAt(action).result = EINVAL;
    return true;
  }
  if (!HasRoom(1, 1) || (has_gre && header_bytes_ + template_length > HEADER_BYTES)) return false;
  abi::Frame& frame = memory_->FrameAt(Memory::Load(memory_->ActionAt(action).frame));
  const uint32_t csum = static_cast<uint32_t>(Memory::Load(frame.csum));
  int32_t& result = memory_->ActionAt(action).result;
  result = 0;
  if ((Memory::Load(frame.flags) & abi::FLAG_PARTIAL_CSUM) != 0) {
    uint8_t* const data = static_cast<uint8_t*>(frames_[action].iov_base);
    if (!CompleteChecksum(data, static_cast<uint32_t>(frames_[action].iov_len), csum & 0xffff, csum >> 16)) {
      result = EINVAL;
      return true;
    }
    frame.flags &= ~abi::FLAG_PARTIAL_CSUM;  // Another copy of it must not do so again.
  }
  actions_[action_count_++] = action;
  if (has_gre) {
    header.iov_base = memcpy(headers_ + header_bytes_, header.iov_base, template_length);
    header_bytes_ += template_length;
    FillGre(port, outer, header, template_length, frames_[action]);
  }
  Append(port, action, header, frames_[action]);
  return true;
}

bool UdpSender::AddSuperframe(Port& port, int32_t action) {
  const abi::Frame& frame = memory_->FrameAt(Memory::Load(memory_->ActionAt(action).frame));
  const uint32_t gso = GsoOf(frame);
  const Superframe superframe = {static_cast<uint8_t*>(frames_[action].iov_base),
                                 static_cast<uint32_t>(frames_[action].iov_len), static_cast<uint8_t>(gso >> 16),
                                 static_cast<uint16_t>(gso), Memory::KindOf(frame)};
  SegmentPlan plan;
  int32_t& result = memory_->ActionAt(action).result;
  const iovec& header = templates_[action];
  const uint32_t prefix = static_cast<uint32_t>(header.iov_len);
  const int32_t outer = Memory::Load(memory_->ActionAt(action).outer);
  const bool has_gre = (outer & OUTER_GRE) != 0;
  if ((has_gre && !IsGreTemplate(port, prefix)) || !PlanSegments(superframe, plan) || plan.count > MAX_DATAGRAMS ||
      (prefix + plan.header_length) * plan.count > HEADER_BYTES ||
      prefix + plan.header_length + plan.gso_size > MAX_PAYLOAD) {
    result = EINVAL;
    return true;
  }
  const uint32_t segment_size = prefix + plan.header_length + plan.gso_size;
  const uint32_t per_message = port.Has(abi::FEATURE_SEGMENT) ? std::min(MAX_SEGMENTS, MAX_PAYLOAD / segment_size) : 1;
  const uint32_t messages = (plan.count + per_message - 1) / per_message;
  if (!HasRoom(plan.count, std::min<uint32_t>(messages, MAX_MESSAGES)) ||
      header_bytes_ + (prefix + plan.header_length) * plan.count > HEADER_BYTES) {
    return false;
  }
  if (messages > MAX_MESSAGES) {
    result = EINVAL;
    return true;
  }
  result = 0;
  actions_[action_count_++] = action;
  Message* message = nullptr;
  for (uint32_t segment = 0; segment < plan.count; segment++) {
    if (segment % per_message == 0) message = &NewMessage(action, segment_size);
    uint8_t* const out = headers_ + header_bytes_;
    header_bytes_ += prefix + plan.header_length;
    memcpy(out, header.iov_base, prefix);
    WriteSegmentHeader(superframe, plan, segment, out + prefix);
    uint8_t* const payload = superframe.data + plan.header_length + segment * plan.gso_size;
    const iovec pieces[2] = {{out, prefix + plan.header_length}, {payload, plan.PayloadLength(segment)}};
    if (has_gre) FillGre(port, outer, pieces[0], prefix, pieces[1]);
    AddDatagram(*message, pieces[0], pieces[1]);
  }
  return true;
}

int32_t UdpSender::Fail(int32_t first, int32_t end, int result) {
  int32_t failed = 0;
  for (int32_t i = first; i < end; i++) {
    for (int32_t a = messages_[i].first_action; a < messages_[i].end_action; a++) {
      int32_t& stored = memory_->ActionAt(actions_[a]).result;
      if (stored == 0) failed++;
      stored = result;
    }
  }
  return failed;
}

int32_t UdpSender::SendMessages(Port& port) {
  int32_t failed = 0;
  int32_t next = 0;
  bool retried = false;
  while (next < message_count_) {
    // sendmmsg stops at the first message that fails and hides its error when others went before: the next call, which
    // starts with that message, tells.
    const int sent = sendmmsg(port.fd, headers_of_ + next, static_cast<uint32_t>(message_count_ - next), MSG_DONTWAIT);
    if (sent > 0) {
      next += sent;
      retried = false;
      if (messages_[next - 1].datagrams > 1) port.refusals = 0;
      continue;
    }
    const int error = sent == 0 ? EIO : errno;
    if (error == EINTR) continue;
    // The send queue is full, and waiting is not for us: what is left is lost, and counted.
    if (error == EAGAIN || error == ENOBUFS || error == ENOMEM) return failed + Fail(next, message_count_, error);
    // The error may be about an earlier datagram (an ICMP message came back) and was left on the socket for the next
    // call to find: try once more before blaming this message.
    if (!retried) {
      retried = true;
      continue;
    }
    if (error == EINVAL && messages_[next].label != 0) {
      DropLabel(next);
      continue;
    }
    failed += IsRefusal(port, messages_[next], error) ? SendOneByOne(port, next) : Fail(next, next + 1, error);
    next++;
    retried = false;
  }
  return failed;
}

// Whether UDP_SEGMENT itself may be what the kernel did not like: EIO where the way out has no checksum offload (before
// Linux 6.11), EINVAL for a socket without checksums or, like EMSGSIZE, for segments larger than the path's MTU.
bool UdpSender::IsRefusal(Port& port, const Message& message, int error) {
  if (message.datagrams == 1 || (error != EIO && error != EINVAL && error != EMSGSIZE)) return false;
  memory_->AddStatus(abi::STATUS_GSO_REFUSED, 1);
  // A path MTU concerns one destination and may change; anything else will be the same next time.
  if (error != EMSGSIZE && port.Has(abi::FEATURE_SEGMENT) && ++port.refusals >= (error == EIO ? 1 : MAX_REFUSALS)) {
    port.features &= ~abi::FEATURE_SEGMENT;
    memory_->AddStatus(abi::STATUS_GSO_LOST, 1);
  }
  return true;
}

int32_t UdpSender::SendOneByOne(Port& port, int32_t index) {
  const Message& message = messages_[index];
  const msghdr& whole = headers_of_[index].msg_hdr;
  msghdr single{};
  single.msg_name = whole.msg_name;
  single.msg_namelen = whole.msg_namelen;
  single.msg_iovlen = 2;
  if (message.control != 0) {
    single.msg_control = controls_[index];
    single.msg_controllen = message.control;
  }
  // A run of frames has an action for each datagram, a superframe one for all.
  const bool is_run = message.end_action - message.first_action > 1;
  int32_t failed = 0;
  for (uint32_t i = 0; i < message.datagrams; i++) {
    single.msg_iov = whole.msg_iov + i * 2;
    ssize_t sent;
    do {
      sent = sendmsg(port.fd, &single, MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) continue;
    const int32_t action = actions_[message.first_action + (is_run ? static_cast<int32_t>(i) : 0)];
    int32_t& result = memory_->ActionAt(action).result;
    if (result == 0) failed++;
    result = errno;
  }
  return failed;
}

}  // namespace vtepd
