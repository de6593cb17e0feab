#include "checksum.h"

#include <cstring>

#ifdef __x86_64__
#include <immintrin.h>
#endif
#ifdef __aarch64__
#include <arm_neon.h>
#endif

namespace vtepd {

namespace {

template <typename Word>
uint64_t Load(const uint8_t* p) {
  Word word;
  memcpy(&word, p, sizeof(word));
  return word;
}

// Two's-complement addition with the carry added in again: one's-complement addition of 64 bits. It never makes a zero
// out of anything but zeros.
uint64_t AddWithCarry(uint64_t sum, uint64_t value) {
  sum += value;
  return sum + (sum < value ? 1 : 0);
}

uint32_t FoldTo32(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  return static_cast<uint32_t>((sum & 0xffffffff) + (sum >> 32));
}

// What the vector loops leave over: fewer than 64 bytes in the worst case, so one sum in a row is quick enough.
uint64_t AddTail(const uint8_t* data, size_t length, uint64_t sum) {
  for (; length >= 8; data += 8, length -= 8) sum = AddWithCarry(sum, Load<uint64_t>(data));
  // Seven bytes have no carry out of 48 bits, whatever the processor's byte order.
  uint64_t rest = 0;
  if ((length & 4) != 0) {
    rest += Load<uint32_t>(data);
    data += 4;
  }
  if ((length & 2) != 0) {
    rest += Load<uint16_t>(data);
    data += 2;
  }
  if ((length & 1) != 0) {
    const uint8_t padded[2] = {*data, 0};
    rest += Load<uint16_t>(padded);
  }
  return AddWithCarry(sum, rest);
}

// Four sums side by side, as each carry waits for the addition before it; the compiler turns each line into add and
// adc.
uint32_t AddScalar(const uint8_t* data, size_t length, uint32_t initial) {
  uint64_t a = initial;
  uint64_t b = 0;
  uint64_t c = 0;
  uint64_t d = 0;
  for (; length >= 64; data += 64, length -= 64) {
    a = AddWithCarry(a, Load<uint64_t>(data));
    b = AddWithCarry(b, Load<uint64_t>(data + 8));
    c = AddWithCarry(c, Load<uint64_t>(data + 16));
    d = AddWithCarry(d, Load<uint64_t>(data + 24));
    a = AddWithCarry(a, Load<uint64_t>(data + 32));
    b = AddWithCarry(b, Load<uint64_t>(data + 40));
    c = AddWithCarry(c, Load<uint64_t>(data + 48));
    d = AddWithCarry(d, Load<uint64_t>(data + 56));
  }
  return FoldTo32(AddTail(data, length, AddWithCarry(AddWithCarry(a, b), AddWithCarry(c, d))));
}

#ifdef __x86_64__

// Each 64-bit lane is two 32-bit numbers, high and low. `whole` adds up the lanes and overflows, `high` adds up only
// the high halves and does not. Then the sum of the low halves is whole - (high << 32) modulo 2^64, exactly, as it is
// below 2^64 itself. That is three operations for 32 bytes, where masking both halves would take four.
struct Lanes {
  __m256i whole;
  __m256i high;
};

__attribute__((target("avx2"), always_inline)) inline void Add(Lanes& sum, const uint8_t* data) {
  const __m256i value = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data));
  sum.whole = _mm256_add_epi64(sum.whole, value);
  sum.high = _mm256_add_epi64(sum.high, _mm256_srli_epi64(value, 32));
}

__attribute__((target("avx2"))) uint32_t AddAvx2(const uint8_t* data, size_t length, uint32_t initial) {
  uint64_t sum = initial;
  if (length >= 32) {
    const __m256i zero = _mm256_setzero_si256();
    Lanes a = {zero, zero};
    Lanes b = {zero, zero};
    for (; length >= 128; data += 128, length -= 128) {
      Add(a, data);
      Add(b, data + 32);
      Add(a, data + 64);
      Add(b, data + 96);
    }
    for (; length >= 32; data += 32, length -= 32) Add(a, data);
    const __m256i whole = _mm256_add_epi64(a.whole, b.whole);
    const __m256i high = _mm256_add_epi64(a.high, b.high);
    const __m256i low = _mm256_sub_epi64(whole, _mm256_slli_epi64(high, 32));
    const __m256i both = _mm256_add_epi64(low, high);
    const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    sum += static_cast<uint64_t>(_mm_extract_epi64(half, 0)) + static_cast<uint64_t>(_mm_extract_epi64(half, 1));
  }
  return FoldTo32(AddTail(data, length, sum));
}

#endif

#ifdef __aarch64__

// vpadal adds neighbouring 32-bit numbers to a 64-bit lane: no carry is lost before 2^31 rounds.
uint32_t AddNeon(const uint8_t* data, size_t length, uint32_t initial) {
  uint64x2_t a = vdupq_n_u64(0);
  uint64x2_t b = vdupq_n_u64(0);
  for (; length >= 64; data += 64, length -= 64) {
    a = vpadalq_u32(a, vreinterpretq_u32_u8(vld1q_u8(data)));
    b = vpadalq_u32(b, vreinterpretq_u32_u8(vld1q_u8(data + 16)));
    a = vpadalq_u32(a, vreinterpretq_u32_u8(vld1q_u8(data + 32)));
    b = vpadalq_u32(b, vreinterpretq_u32_u8(vld1q_u8(data + 48)));
  }
  for (; length >= 16; data += 16, length -= 16) a = vpadalq_u32(a, vreinterpretq_u32_u8(vld1q_u8(data)));
  return FoldTo32(AddTail(data, length, vaddvq_u64(vaddq_u64(a, b)) + initial));
}

#endif

using AddFunction = uint32_t (*)(const uint8_t*, size_t, uint32_t);

// Null when this processor lacks the path.
AddFunction FindAdd(ChecksumPath path) {
  if (path == ChecksumPath::kScalar) return AddScalar;
#ifdef __x86_64__
  if (path == ChecksumPath::kAvx2 && __builtin_cpu_supports("avx2")) return AddAvx2;
#endif
#ifdef __aarch64__
  if (path == ChecksumPath::kNeon) return AddNeon;  // Every 64-bit ARM has it.
#endif
  return nullptr;
}

}  // namespace

bool HasChecksumPath(ChecksumPath path) {
  return FindAdd(path) != nullptr;
}

ChecksumPath BestChecksumPath() {
  if (HasChecksumPath(ChecksumPath::kAvx2)) return ChecksumPath::kAvx2;
  return HasChecksumPath(ChecksumPath::kNeon) ? ChecksumPath::kNeon : ChecksumPath::kScalar;
}

uint32_t AddBytesBy(ChecksumPath path, const uint8_t* data, size_t length, uint32_t initial) {
  const AddFunction add = FindAdd(path);
  return (add != nullptr ? add : AddScalar)(data, length, initial);
}

uint32_t AddBytes(const uint8_t* data, size_t length, uint32_t initial) {
  static const AddFunction add = FindAdd(BestChecksumPath());
  return add(data, length, initial);
}

}  // namespace vtepd
