// What AES-256-GCM costs in the OpenSSL inside Node on one core, for blocks of so many bytes: a module, because that OpenSSL is part of
// Node's executable and not of any library; what Debian's libcrypto does says nothing of it, and a call of node:crypto costs more than
// the cipher. Beside it what native/esp.cc makes of it, the same code that the addon has.
//
//   measure(what, bytes, seconds) -> nanoseconds a block
//
//   block    one EncryptUpdate after the other under one key, the best there is, as `openssl speed -evp` does it
//   message  what RFC 4106 asks for each packet: a nonce, 8 authenticated bytes, the block, a check value of 16 bytes
//   seal     Esp::Seal of a packet of that length
//   open     Esp::Open of what it made, replay window included
#include <node_api.h>
#include <openssl/evp.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "../../native/esp.h"

using namespace vtepd;

namespace {

constexpr uint32_t MAX_BYTES = 16384;
constexpr uint32_t NONCE = 12;
constexpr uint32_t AUTHENTICATED = 8;
constexpr int32_t SPI = 0x1001;
// As many packets as a batch has, so that what is read is not always in the first cache.
constexpr uint32_t PACKETS = 64;

uint64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

struct Bench {
  std::vector<uint8_t> plain = std::vector<uint8_t>(PACKETS * MAX_BYTES, 0x45);
  std::vector<uint8_t> sealed = std::vector<uint8_t>(PACKETS * (MAX_BYTES + ESP_MAX_OVERHEAD));
  std::vector<abi::Association> rows = std::vector<abi::Association>(abi::ASSOCIATION_ROWS);
  std::vector<int32_t> outbound = std::vector<int32_t>(abi::ASSOCIATION_DOMAINS);
  std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> cipher{EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free};
  uint8_t key[32] = {};
  uint8_t nonce[NONCE] = {};
  uint32_t lengths[PACKETS];
  Esp esp;
  bool is_good = true;

  Bench() {
    is_good = EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key, nonce) > 0;
    const int32_t inbound = static_cast<int32_t>((static_cast<uint32_t>(SPI) * 0x9e3779b1U) >> 21);
    for (const int32_t row : {inbound, abi::ASSOCIATION_INBOUND}) {
      rows[static_cast<size_t>(row)].generation = 1;
      rows[static_cast<size_t>(row)].spi = SPI;
      rows[static_cast<size_t>(row)].key_bytes = sizeof(key);
    }
    rows[static_cast<size_t>(inbound)].window = abi::ASSOCIATION_MAX_WINDOW;
    outbound[0] = abi::ASSOCIATION_INBOUND;
    esp.Prepare(rows.data(), outbound.data());
  }

  uint8_t* Plain(uint32_t i) {
    return plain.data() + i * MAX_BYTES;
  }
  uint8_t* Sealed(uint32_t i) {
    return sealed.data() + i * (MAX_BYTES + ESP_MAX_OVERHEAD);
  }
  void Check(bool is_right) {
    is_good = is_good && is_right;
  }

  void Block(uint32_t bytes) {
    int written;
    for (uint32_t i = 0; i < PACKETS; i++) {
      Check(EVP_EncryptUpdate(cipher.get(), Sealed(i), &written, Plain(i), static_cast<int>(bytes)) > 0);
    }
  }

  void Message(uint32_t bytes) {
    int written;
    uint8_t authenticated[AUTHENTICATED] = {};
    for (uint32_t i = 0; i < PACKETS; i++) {
      nonce[NONCE - 1]++;
      Check(EVP_EncryptInit_ex(cipher.get(), nullptr, nullptr, nullptr, nonce) > 0);
      Check(EVP_EncryptUpdate(cipher.get(), nullptr, &written, authenticated, AUTHENTICATED) > 0);
      Check(EVP_EncryptUpdate(cipher.get(), Sealed(i), &written, Plain(i), static_cast<int>(bytes)) > 0);
      Check(EVP_EncryptFinal_ex(cipher.get(), Sealed(i), &written) > 0);
      Check(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, ESP_ICV, Sealed(i) + bytes) > 0);
    }
  }

  void Seal(uint32_t bytes) {
    for (uint32_t i = 0; i < PACKETS; i++) {
      const iovec piece = {Plain(i), bytes};
      Check(esp.Seal(0, &piece, 1, Sealed(i), lengths[i]) == 0);
    }
  }

  void Open() {
    uint32_t length;
    for (uint32_t i = 0; i < PACKETS; i++) Check(esp.Open(Sealed(i), lengths[i], length) > 0);
  }

  // Nanoseconds a block. Of `open`, which needs something sealed each time, only the opening is counted.
  double Measure(const char* what, uint32_t bytes, double seconds) {
    uint64_t spent = 0, blocks = 0;
    const uint64_t end = Now() + static_cast<uint64_t>(seconds * 1e9);
    while (Now() < end && is_good) {
      if (strcmp(what, "open") == 0) Seal(bytes);
      const uint64_t start = Now();
      if (strcmp(what, "block") == 0) {
        Block(bytes);
      } else if (strcmp(what, "message") == 0) {
        Message(bytes);
      } else if (strcmp(what, "seal") == 0) {
        Seal(bytes);
      } else if (strcmp(what, "open") == 0) {
        Open();
      } else {
        return -1;
      }
      spent += Now() - start;
      blocks += PACKETS;
    }
    return is_good ? static_cast<double>(spent) / static_cast<double>(std::max<uint64_t>(blocks, 1)) : -1;
  }
};

napi_value Measure(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value arguments[3];
  char what[16] = {};
  uint32_t bytes = 0;
  double seconds = 0;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok || count < 3 ||
      napi_get_value_string_utf8(env, arguments[0], what, sizeof(what), nullptr) != napi_ok ||
      napi_get_value_uint32(env, arguments[1], &bytes) != napi_ok || bytes == 0 || bytes > MAX_BYTES ||
      napi_get_value_double(env, arguments[2], &seconds) != napi_ok) {
    napi_throw_type_error(env, nullptr, "measure: expected block, message, seal or open, bytes and seconds");
    return nullptr;
  }
  const auto bench = std::make_unique<Bench>();
  const double nanoseconds = bench->Measure(what, bytes, seconds);
  napi_value result = nullptr;
  if (nanoseconds < 0) {
    napi_throw_error(env, nullptr, "measure: OpenSSL failed, or there is no such thing to measure");
  } else {
    napi_create_double(env, nanoseconds, &result);
  }
  return result;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value function;
  if (napi_create_function(env, "measure", NAPI_AUTO_LENGTH, Measure, nullptr, &function) == napi_ok) {
    napi_set_named_property(env, exports, "measure", function);
  }
  return exports;
}
