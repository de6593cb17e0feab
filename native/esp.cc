#include "esp.h"

#include <endian.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "replay-window.h"

namespace vtepd {

namespace {

constexpr uint8_t NEXT_IPV4 = 4;
constexpr uint8_t NEXT_IPV6 = 41;
constexpr uint32_t SEQUENCE = 4;  // Offsets in the header.
constexpr uint32_t IV = 8;
constexpr uint32_t TRAILER = 2;  // Length of the padding, next header.
constexpr uint32_t ALIGNMENT = 4;
constexpr int NONCE = 12;

template <typename Word>
void Put(uint8_t* at, Word value) {
  memcpy(at, &value, sizeof(value));
}

template <typename Word>
Word Get(const uint8_t* at) {
  Word value;
  memcpy(&value, at, sizeof(value));
  return value;
}

// What is authenticated beside the packet, RFC 4106 section 5. Returns its bytes.
int WriteAuthenticated(uint8_t* out, uint32_t spi, uint64_t sequence, bool is_extended) {
  Put(out, spi);
  if (!is_extended) {
    Put(out + 4, htobe32(static_cast<uint32_t>(sequence)));
    return 8;
  }
  Put(out + 4, htobe64(sequence));
  return 12;
}

}  // namespace

Esp::~Esp() = default;

void Esp::Prepare(abi::Association* rows, const int32_t* outbound) {
  if (rows == nullptr || !contexts_.empty()) return;
  rows_ = rows;
  outbound_ = outbound;
  contexts_.resize(abi::ASSOCIATION_ROWS);
}

Esp::Context* Esp::ContextOf(int32_t row, bool seals) {
  abi::Association& association = rows_[row];
  Context& context = contexts_[static_cast<size_t>(row)];
  const int32_t generation = __atomic_load_n(&association.generation, __ATOMIC_ACQUIRE);
  if (generation == 0) return nullptr;
  if (generation == context.generation) return &context;
  context.generation = 0;
  context.cipher.reset(EVP_CIPHER_CTX_new());
  if (!context.cipher) return nullptr;
  const EVP_CIPHER* const cipher = association.key_bytes == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
  uint8_t key[sizeof(association.key)];
  memcpy(key, association.key, sizeof(key));
  memcpy(context.salt, association.salt, sizeof(context.salt));
  context.spi = association.spi;
  context.is_extended = association.is_extended != 0;
  // Nothing above may be read later than this.
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  const bool is_whole = __atomic_load_n(&association.generation, __ATOMIC_RELAXED) == generation;
  const bool is_made =
      is_whole && (seals ? EVP_EncryptInit_ex(context.cipher.get(), cipher, nullptr, key, nullptr)
                         : EVP_DecryptInit_ex(context.cipher.get(), cipher, nullptr, key, nullptr)) > 0;
  OPENSSL_cleanse(key, sizeof(key));
  if (!is_made) return nullptr;
  context.generation = generation;
  return &context;
}

int Esp::Seal(int32_t bd, const iovec* pieces, int32_t count, uint8_t* out, uint32_t& length) {
  if (rows_ == nullptr || bd < 0 || bd >= abi::ASSOCIATION_DOMAINS) return ENOKEY;
  const int32_t row = __atomic_load_n(&outbound_[bd], __ATOMIC_ACQUIRE);
  if (row <= 0 || row >= abi::ASSOCIATION_ROWS) return ENOKEY;
  Context* const context = ContextOf(row, true);
  if (context == nullptr) return ENOKEY;
  abi::Association& association = rows_[row];
  const uint64_t sequence = __atomic_add_fetch(&association.sequence, 1, __ATOMIC_RELAXED);
  // A number must never come twice under one key (RFC 4303 section 3.3.3); the counter itself does not overflow.
  if (!context->is_extended && sequence > UINT32_MAX) return EOVERFLOW;
  const uint32_t spi = htobe32(static_cast<uint32_t>(context->spi));
  Put(out, spi);
  Put(out + SEQUENCE, htobe32(static_cast<uint32_t>(sequence)));
  Put(out + IV, htobe64(sequence ^ association.iv));
  uint8_t nonce[NONCE];
  memcpy(nonce, context->salt, sizeof(context->salt));
  memcpy(nonce + sizeof(context->salt), out + IV, sizeof(uint64_t));
  uint8_t authenticated[12];
  const int authenticated_bytes = WriteAuthenticated(authenticated, spi, sequence, context->is_extended);
  EVP_CIPHER_CTX* const cipher = context->cipher.get();
  int written = 0;
  bool is_good = EVP_EncryptInit_ex(cipher, nullptr, nullptr, nullptr, nonce) > 0 &&
                 EVP_EncryptUpdate(cipher, nullptr, &written, authenticated, authenticated_bytes) > 0;
  uint8_t* at = out + ESP_HEADER;
  uint32_t packet = 0;
  for (int32_t i = 0; i < count && is_good; i++) {
    const int bytes = static_cast<int>(pieces[i].iov_len);
    is_good = EVP_EncryptUpdate(cipher, at, &written, static_cast<const uint8_t*>(pieces[i].iov_base), bytes) > 0;
    at += bytes;
    packet += static_cast<uint32_t>(bytes);
  }
  const uint8_t version = static_cast<uint8_t>(static_cast<const uint8_t*>(pieces[0].iov_base)[0] >> 4);
  const uint32_t padding = (ALIGNMENT - (packet + TRAILER) % ALIGNMENT) % ALIGNMENT;
  uint8_t trailer[ALIGNMENT + TRAILER] = {1, 2, 3};
  trailer[padding] = static_cast<uint8_t>(padding);
  trailer[padding + 1] = version == 6 ? NEXT_IPV6 : NEXT_IPV4;
  is_good = is_good && EVP_EncryptUpdate(cipher, at, &written, trailer, static_cast<int>(padding + TRAILER)) > 0;
  at += padding + TRAILER;
  is_good = is_good && EVP_EncryptFinal_ex(cipher, at, &written) > 0 &&
            EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, ESP_ICV, at) > 0;
  length = static_cast<uint32_t>(at - out) + ESP_ICV;
  return is_good ? 0 : EIO;
}

int32_t Esp::FindInbound(int32_t spi) const {
  const uint32_t hash = static_cast<uint32_t>(spi) * 0x9e3779b1U;
  for (int32_t i = 0; i < abi::ASSOCIATION_PLACES; i++) {
    const int32_t row = static_cast<int32_t>((hash >> 21) + static_cast<uint32_t>(i)) % abi::ASSOCIATION_INBOUND;
    if (__atomic_load_n(&rows_[row].generation, __ATOMIC_ACQUIRE) != 0 && rows_[row].spi == spi) return row;
  }
  return -1;
}

int32_t Esp::Open(uint8_t* datagram, uint32_t size, uint32_t& packet_length) {
  packet_length = 0;
  if (size < ESP_HEADER + TRAILER + ESP_ICV) return abi::ESP_TRUNCATED;
  if (rows_ == nullptr) return abi::ESP_UNKNOWN;
  const uint32_t spi = Get<uint32_t>(datagram);
  const int32_t row = FindInbound(static_cast<int32_t>(be32toh(spi)));
  Context* const context = row < 0 ? nullptr : ContextOf(row, false);
  if (context == nullptr || context->spi != static_cast<int32_t>(be32toh(spi))) return abi::ESP_UNKNOWN;
  abi::Association& association = rows_[row];
  uint64_t sequence;
  if (!GuessSequence(association, be32toh(Get<uint32_t>(datagram + SEQUENCE)), sequence)) return abi::ESP_REPLAYED;
  uint8_t nonce[NONCE];
  memcpy(nonce, context->salt, sizeof(context->salt));
  memcpy(nonce + sizeof(context->salt), datagram + IV, sizeof(uint64_t));
  uint8_t authenticated[12];
  const int authenticated_bytes = WriteAuthenticated(authenticated, spi, sequence, context->is_extended);
  EVP_CIPHER_CTX* const cipher = context->cipher.get();
  uint8_t* const data = datagram + ESP_HEADER;
  const uint32_t length = size - ESP_HEADER - ESP_ICV;
  int written = 0;
  // The tag is compared by OpenSSL, in constant time.
  const bool is_genuine = EVP_DecryptInit_ex(cipher, nullptr, nullptr, nullptr, nonce) > 0 &&
                          EVP_DecryptUpdate(cipher, nullptr, &written, authenticated, authenticated_bytes) > 0 &&
                          EVP_DecryptUpdate(cipher, data, &written, data, static_cast<int>(length)) > 0 &&
                          EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, ESP_ICV, data + length) > 0 &&
                          EVP_DecryptFinal_ex(cipher, data + length, &written) > 0;
  if (!is_genuine) {
    OPENSSL_cleanse(data, length);
    return abi::ESP_FORGED;
  }
  if (!TakeSequence(association, sequence)) return abi::ESP_REPLAYED;
  const uint32_t padding = data[length - TRAILER];
  const uint8_t next_header = data[length - 1];
  if (padding + TRAILER > length) return abi::ESP_INVALID;
  if (next_header != NEXT_IPV4 && next_header != NEXT_IPV6) return abi::ESP_UNHANDLED;
  packet_length = length - TRAILER - padding;
  return row + 1;
}

void Esp::Sweep() {
  for (size_t row = 0; row < contexts_.size(); row++) {
    Context& context = contexts_[row];
    const int32_t generation = __atomic_load_n(&rows_[row].generation, __ATOMIC_ACQUIRE);
    if (context.generation == 0 || context.generation == generation) continue;
    context.generation = 0;
    context.cipher.reset();
  }
}

}  // namespace vtepd
