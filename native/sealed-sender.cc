// The half of UdpSender that seals: what goes out is made whole in a buffer of its own, because ciphertext is longer
// than the packet, and other copies of the frame may still be to come.
#include <algorithm>
#include <cerrno>

#include "udp-sender.h"

namespace vtepd {

void UdpSender::PrepareSealing() {
  sealed_.resize(SEALED_BYTES);
}

bool UdpSender::AddSealed(Port& port, int32_t action) {
  abi::Action& entry = memory_->ActionAt(action);
  abi::Frame& frame = memory_->FrameAt(Memory::Load(entry.frame));
  const int32_t bd = Memory::Load(entry.bd);
  const iovec& whole = frames_[action];
  uint8_t* const data = static_cast<uint8_t*>(whole.iov_base);
  const uint32_t length = static_cast<uint32_t>(whole.iov_len);
  const uint32_t gso = static_cast<uint32_t>(Memory::Load(frame.gso));
  const Superframe superframe = {data, length, static_cast<uint8_t>(gso >> 16), static_cast<uint16_t>(gso),
                                 Memory::KindOf(frame)};
  SegmentPlan plan{};
  plan.count = 1;
  const bool is_superframe = gso != 0;
  if (length == 0 || (is_superframe && !PlanSegments(superframe, plan)) || plan.count > MAX_DATAGRAMS) {
    entry.result = EINVAL;
    return true;
  }
  const uint32_t segment = is_superframe ? plan.header_length + plan.gso_size : length;
  const uint32_t needed = (segment + ESP_MAX_OVERHEAD) * plan.count;
  if (segment + ESP_MAX_OVERHEAD > MAX_PAYLOAD || needed > SEALED_BYTES) {
    entry.result = EMSGSIZE;
    return true;
  }
  if (!HasRoom(plan.count, plan.count) || sealed_bytes_ + needed > SEALED_BYTES) return false;
  entry.result = 0;
  const uint32_t csum = static_cast<uint32_t>(Memory::Load(frame.csum));
  if (!is_superframe && (Memory::Load(frame.flags) & abi::FLAG_PARTIAL_CSUM) != 0) {
    if (!CompleteChecksum(data, length, csum & 0xffff, csum >> 16)) {
      entry.result = EINVAL;
      return true;
    }
    frame.flags &= ~abi::FLAG_PARTIAL_CSUM;  // Another copy of it must not do so again.
  }
  actions_[action_count_++] = action;
  // The datagrams of a superframe share one action, those of other messages have one each.
  if (is_superframe && message_count_ > 0) messages_[message_count_ - 1].is_open = false;
  for (uint32_t i = 0; i < plan.count; i++) {
    uint8_t header[MAX_SEGMENT_HEADER];
    iovec pieces[2] = {whole, {}};
    if (is_superframe) {
      WriteSegmentHeader(superframe, plan, i, header);
      pieces[0] = {header, plan.header_length};
      pieces[1] = {data + plan.header_length + i * plan.gso_size, plan.PayloadLength(i)};
    }
    uint8_t* const out = sealed_.data() + sealed_bytes_;
    uint32_t sealed_length = 0;
    const int error = esp_->Seal(bd, pieces, is_superframe ? 2 : 1, out, sealed_length);
    if (error != 0) {
      // What went before goes on its way; an action with no message of its own must not stand in the list.
      if (i == 0) action_count_--;
      entry.result = error;
      return true;
    }
    sealed_bytes_ += sealed_length;
    Append(port, action, {out, sealed_length}, {});
  }
  if (is_superframe) messages_[message_count_ - 1].is_open = false;
  return true;
}

}  // namespace vtepd
