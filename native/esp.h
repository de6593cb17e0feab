// IPsec ESP in tunnel mode (RFC 4303) with AES-GCM (RFC 4106, ICV of 16 bytes), by the OpenSSL inside Node.
// Associations are rows of a table that the main thread writes and all workers share (abi.h, struct Association).
#ifndef VTEPD_ESP_H_
#define VTEPD_ESP_H_

#include <openssl/evp.h>
#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "abi.h"

namespace vtepd {

// Bytes.
inline constexpr uint32_t ESP_HEADER = 16;  // SPI, sequence number, initialisation vector.
inline constexpr uint32_t ESP_ICV = 16;
// What a packet can grow by: header, padding to a multiple of 4, its length, next header, ICV.
inline constexpr uint32_t ESP_MAX_OVERHEAD = ESP_HEADER + 3 + 2 + ESP_ICV;

// One worker's view of the associations. Cipher contexts are made when an association is first used here and belong to
// this object alone; sequence numbers and replay windows are in the table, so that workers share them.
//
// A row is replaced by setting its generation to 0, writing the rest, and then a generation that no row had before. So
// a context is good while the row's generation is that of its making, and a key that was read while it was being
// written is never used.
class Esp {
 public:
  Esp() = default;
  Esp(const Esp&) = delete;
  Esp& operator=(const Esp&) = delete;
  ~Esp();

  // The table is borrowed; null when there is none, then nothing can be sealed or opened.
  void Prepare(abi::Association* rows, const int32_t* outbound);

  // Seals the packet that `pieces` make up into `out`, which has room for it and ESP_MAX_OVERHEAD. Returns 0 or an
  // errno: ENOKEY without an association, EOVERFLOW when its sequence numbers are used up.
  int Seal(int32_t bd, const iovec* pieces, int32_t count, uint8_t* out, uint32_t& length);

  // Opens a datagram in place: the packet begins behind ESP_HEADER. Returns the association's row + 1, or one of
  // abi::ESP_*; then what was deciphered is wiped.
  int32_t Open(uint8_t* datagram, uint32_t size, uint32_t& packet_length);

  // Frees contexts of associations that are no more.
  void Sweep();

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  struct Context {
    int32_t generation = 0;
    std::unique_ptr<EVP_CIPHER_CTX, Free> cipher;
    uint8_t salt[4] = {};
    int32_t spi = 0;
    bool is_extended = false;
  };

  // Null when the row has no association.
  Context* ContextOf(int32_t row, bool seals);
  int32_t FindInbound(int32_t spi) const;

  abi::Association* rows_ = nullptr;
  const int32_t* outbound_ = nullptr;
  std::vector<Context> contexts_;
};

}  // namespace vtepd

#endif  // VTEPD_ESP_H_
