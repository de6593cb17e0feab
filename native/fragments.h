// Fragments over IPv6 in messages of packet sockets, which come before IP puts them together.
#ifndef VTEPD_FRAGMENTS_H_
#define VTEPD_FRAGMENTS_H_

#include <cstdint>
#include <memory>

namespace vtepd {

// What RFC 8200 section 4.5 asks for. A table of packets that are not complete; the oldest gives way to a new one, and
// one that is TIMEOUT_S old when the next fragment arrives is given up. Fragments that overlap, or contradict each
// other about the packet's length, take all of it with them (RFC 5722); exact repetitions do nothing. Nothing is
// allocated after Prepare, and memory is touched only when fragments arrive.
class Fragments {
 public:
  // 64 KiB each.
  static constexpr int32_t PACKETS = 16;
  static constexpr int32_t TIMEOUT_S = 60;

  enum class Outcome {
    kNone,      // No fragment, or none whose headers are understood: the message is as it was.
    kWaiting,   // Kept; the message may be used again.
    kComplete,  // The message has become that of the whole packet.
    kInvalid,   // Given up, and with it what was there of its packet.
  };

  void Prepare();

  // Takes a message: vnet header, link_header bytes, IPv6, perhaps destination options of 8 bytes, a fragment header.
  // Packets of different ports are kept apart. There must be `room` bytes at `message`, of which `length` are it.
  Outcome Take(int32_t port, int32_t now_s, uint32_t link_header, uint8_t* message, uint32_t& length, uint32_t room);

  // Packets that were given up since the last call, of which no fragment will be heard again.
  int32_t TakeLost();

 private:
  // IPv6 and destination options.
  static constexpr uint32_t MAX_HEADERS = 48;
  static constexpr uint32_t MAX_PAYLOAD = 65535;
  static constexpr uint32_t UNITS = 65536 / 8;

  struct Packet {
    bool is_used;
    int32_t port;
    int32_t since_s;
    uint32_t order;  // In which they came.
    uint8_t addresses[32];
    uint32_t id;
    uint32_t total;     // Bytes of the payload; 0 when the last fragment is yet to come.
    uint32_t received;  // Of them.
    uint8_t ecn_seen;   // A bit for each of the four values.
    // Of the first fragment, without the fragment header.
    uint8_t headers[MAX_HEADERS];
    uint32_t header_length;
    uint64_t present[UNITS / 64];  // Eight bytes each; those of a last one that is shorter, too.
    uint8_t payload[UNITS * 8];
  };

  struct Piece;
  static bool Parse(const uint8_t* ip, uint32_t room, Piece& piece);
  Packet& Find(int32_t port, int32_t now_s, const Piece& piece);
  // False when the piece contradicts what is there.
  static bool Put(Packet& packet, const Piece& piece);
  // Writes the packet to `ip`, where there is room. False when it is none that may be.
  static bool Finish(const Packet& packet, uint8_t* ip, uint32_t room, uint32_t& length);
  void GiveUp(Packet& packet);

  std::unique_ptr<Packet[]> packets_;
  uint32_t next_order_ = 0;
  int32_t lost_ = 0;
};

}  // namespace vtepd

#endif  // VTEPD_FRAGMENTS_H_
