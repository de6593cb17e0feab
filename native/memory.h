// The shared memory of one Io: typed arrays over SharedArrayBuffers that JavaScript made, held by pointer.
#ifndef VTEPD_MEMORY_H_
#define VTEPD_MEMORY_H_

#include <napi.h>

#include <cstdint>

#include "abi.h"
#include "frame-kind.h"

namespace vtepd {

// A run of borrowed bytes; `data` is null when there is none.
struct Bytes {
  uint8_t* data = nullptr;
  uint32_t length = 0;
};

// Everything here is borrowed from JavaScript; the reference keeps it alive. Only SharedArrayBuffers are taken, because
// they can neither be detached nor shrink, so that the pointers stay good.
class Memory {
 public:
  // False after a TypeError was thrown.
  bool Take(Napi::Env env, Napi::Value options);

  uint8_t* TapSlot(int32_t slot) const { return arena_ + static_cast<size_t>(slot) * abi::SLOT_BYTES; }
  uint8_t* UdpSlot(int32_t slot) const { return TapSlot(abi::TAP_SLOTS + slot); }
  int32_t OffsetOf(const uint8_t* data) const { return static_cast<int32_t>(data - arena_); }
  abi::Frame& FrameAt(int32_t frame) const { return frames_[frame]; }
  abi::Action& ActionAt(int32_t action) const { return actions_[action]; }

  // The next check what JavaScript wrote, and answer false or null for anything out of bounds.
  static bool IsFrame(int32_t frame) { return static_cast<uint32_t>(frame) < static_cast<uint32_t>(abi::FRAME_ROWS); }
  // The frame without its last `rest` bytes, which lie elsewhere.
  Bytes FirstBytes(int32_t frame, int32_t rest) const {
    const int32_t length = Load(frames_[frame].length);
    return length < rest ? Bytes{} : Within(arena_, abi::ARENA_BYTES, Load(frames_[frame].offset), length - rest);
  }
  Bytes FrameBytes(int32_t frame) const { return FirstBytes(frame, 0); }
  Bytes TemplateBytes(const abi::Action& action) const {
    return Within(templates_, template_bytes_, Load(action.template_offset), Load(action.template_length));
  }
  // Null when JavaScript gave no table.
  abi::Association* Associations() const {
    return associations_ == nullptr ? nullptr
                                    : reinterpret_cast<abi::Association*>(associations_ + abi::ASSOCIATION_DOMAINS);
  }
  const int32_t* OutboundAssociations() const { return associations_; }
  uint8_t* VtepAddress(int32_t slot) const {
    if (static_cast<uint32_t>(slot) >= vtep_count_) return nullptr;
    return vteps_ + static_cast<size_t>(slot) * abi::VTEP_ADDRESS_BYTES;
  }

  // Another thread may read the status words at any time.
  void SetStatus(int32_t word, int32_t value) { __atomic_store_n(&status_[word], value, __ATOMIC_RELAXED); }
  void AddStatus(int32_t word, uint32_t increment) {
    SetStatus(word, static_cast<int32_t>(static_cast<uint32_t>(status_[word]) + increment));
  }

  // One read, so that the value which was checked is the value which is used.
  static int32_t Load(const int32_t& word) { return __atomic_load_n(&word, __ATOMIC_RELAXED); }
  static FrameKind KindOf(const abi::Frame& frame) {
    return (Load(frame.flags) & abi::FLAG_IP_PACKET) != 0 ? FrameKind::kIpPacket : FrameKind::kEthernet;
  }

 private:
  static Bytes Within(uint8_t* data, uint32_t size, int32_t offset, int32_t length) {
    if (offset < 0 || length < 0 || static_cast<uint32_t>(offset) + static_cast<uint32_t>(length) > size) return {};
    return {data + offset, static_cast<uint32_t>(length)};
  }

  uint8_t* arena_ = nullptr;
  abi::Frame* frames_ = nullptr;
  abi::Action* actions_ = nullptr;
  int32_t* status_ = nullptr;
  uint8_t* templates_ = nullptr;
  uint32_t template_bytes_ = 0;
  uint8_t* vteps_ = nullptr;
  uint32_t vtep_count_ = 0;
  int32_t* associations_ = nullptr;
  Napi::ObjectReference arrays_;
};

}  // namespace vtepd

#endif  // VTEPD_MEMORY_H_
