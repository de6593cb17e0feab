#include "replay-window.h"

#include <algorithm>

namespace vtepd {

namespace {

// Bits of a word of the bitmap.
constexpr uint64_t WORD = 64;

// Held for a few instructions and never while waiting for anything.
class Lock {
 public:
  explicit Lock(int32_t& word) : word_(word) {
    while (__atomic_exchange_n(&word_, 1, __ATOMIC_ACQUIRE) != 0) __builtin_ia32_pause();
  }
  ~Lock() { __atomic_store_n(&word_, 0, __ATOMIC_RELEASE); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int32_t& word_;
};

uint64_t WindowOf(const abi::Association& association) {
  return static_cast<uint64_t>(std::clamp(association.window, 0, abi::ASSOCIATION_MAX_WINDOW));
}

uint64_t& WordOf(abi::Association& association, uint64_t sequence) {
  return association.bitmap[sequence % abi::ASSOCIATION_MAX_WINDOW / WORD];
}

uint64_t BitOf(uint64_t sequence) {
  return uint64_t{1} << sequence % WORD;
}

// Under the lock.
bool IsFresh(abi::Association& association, uint64_t sequence) {
  const uint64_t window = WindowOf(association);
  if (window == 0) return true;
  const uint64_t highest = association.sequence;
  if (sequence > highest) return true;
  return sequence != 0 && highest - sequence < window && (WordOf(association, sequence) & BitOf(sequence)) == 0;
}

}  // namespace

bool GuessSequence(abi::Association& association, uint32_t low, uint64_t& sequence) {
  const Lock lock(association.lock);
  sequence = low;
  if (association.is_extended != 0) {
    // Appendix A2.2: the upper half is the one that puts the number nearest above the window's lower end. Before the
    // first turn there is nothing below.
    const uint64_t highest = association.sequence;
    const uint64_t behind = std::max(WindowOf(association), WORD) - 1;
    const uint64_t lowest = highest > behind ? highest - behind : 0;
    sequence = (lowest & ~uint64_t{UINT32_MAX}) | low;
    if (sequence < lowest) sequence += uint64_t{1} << 32;
  }
  return IsFresh(association, sequence);
}

bool TakeSequence(abi::Association& association, uint64_t sequence) {
  const Lock lock(association.lock);
  if (!IsFresh(association, sequence)) return false;
  if (WindowOf(association) == 0 && sequence <= association.sequence) return true;
  if (sequence > association.sequence) {
    // What the window moves over was never seen; beyond a whole turn every bit is.
    const uint64_t steps = std::min<uint64_t>(sequence - association.sequence, uint64_t{abi::ASSOCIATION_MAX_WINDOW});
    for (uint64_t i = 0; i < steps; i++) WordOf(association, sequence - i) &= ~BitOf(sequence - i);
    association.sequence = sequence;
  }
  WordOf(association, sequence) |= BitOf(sequence);
  return true;
}

}  // namespace vtepd
