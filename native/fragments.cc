#include "fragments.h"

#include <cstring>

#include "outer.h"
#include "packet.h"

namespace vtepd {

namespace {

// The fragment header, RFC 8200 section 4.5:
//
//   0            1           2                       4
//   next header  reserved    offset (13) 00 M        identification
constexpr uint32_t FRAGMENT_HEADER = 8;
constexpr uint32_t FRAGMENT_OFFSET = 2;
constexpr uint32_t FRAGMENT_ID = 4;
constexpr uint16_t OFFSET_BITS = 0xfff8;
constexpr uint16_t MORE = 1;

// ECN, RFC 3168 section 5.3: the mark of one fragment is the packet's; one that could not be marked must not be among
// them.
constexpr uint8_t NOT_ECT = 0;
constexpr uint8_t CE = 3;

uint8_t EcnOf(const uint8_t* ip) {
  return ip[1] >> 4 & 3;
}

}  // namespace

// One fragment, where it lies.
struct Fragments::Piece {
  const uint8_t* ip;
  uint32_t headers;  // Bytes before the fragment header.
  uint8_t next_header;
  uint32_t id;
  uint32_t offset;
  const uint8_t* data;
  uint32_t length;
  bool is_last;
};

void Fragments::Prepare() {
  if (packets_ != nullptr) return;
  packets_ = std::make_unique_for_overwrite<Packet[]>(PACKETS);
  for (int32_t i = 0; i < PACKETS; i++) packets_[i].is_used = false;
}

bool Fragments::Parse(const uint8_t* ip, uint32_t room, Piece& piece) {
  if (room < IPV6 || ip[0] >> 4 != 6) return false;
  const uint32_t length = Big16(ip + IPV6_PAYLOAD_LENGTH);
  if (length > room - IPV6) return false;
  uint32_t headers = IPV6;
  uint8_t protocol = ip[IPV6_NEXT_HEADER];
  if (protocol == DESTINATION_OPTIONS && length >= IPV6_OPTIONS && ip[IPV6 + 1] == 0) {
    protocol = ip[IPV6];
    headers += IPV6_OPTIONS;
  }
  if (protocol != FRAGMENT || length < headers - IPV6 + FRAGMENT_HEADER) return false;
  const uint8_t* const fragment = ip + headers;
  const uint16_t place = Big16(fragment + FRAGMENT_OFFSET);
  piece.ip = ip;
  piece.headers = headers;
  piece.next_header = fragment[0];
  piece.id = Load32(fragment + FRAGMENT_ID);
  piece.offset = place & OFFSET_BITS;
  piece.is_last = (place & MORE) == 0;
  piece.data = fragment + FRAGMENT_HEADER;
  piece.length = length - (headers - IPV6) - FRAGMENT_HEADER;
  return true;
}

Fragments::Outcome Fragments::Take(int32_t port, int32_t now_s, uint32_t link_header, uint8_t* message,
                                   uint32_t& length, uint32_t room) {
  const uint32_t ip_offset = PACKET_VNET_HEADER + link_header;
  Piece piece;
  if (packets_ == nullptr || length < ip_offset) return Outcome::kNone;
  if (!Parse(message + ip_offset, length - ip_offset, piece)) return Outcome::kNone;
  Packet& packet = Find(port, now_s, piece);
  if (!Put(packet, piece)) {
    GiveUp(packet);
    return Outcome::kInvalid;
  }
  if (packet.total == 0 || packet.received < packet.total) return Outcome::kWaiting;
  uint32_t packet_length;
  if (!Finish(packet, message + ip_offset, room - ip_offset, packet_length)) {
    GiveUp(packet);
    return Outcome::kInvalid;
  }
  packet.is_used = false;
  // The kernel has said nothing of the whole packet.
  memset(message, 0, PACKET_VNET_HEADER);
  length = ip_offset + packet_length;
  return Outcome::kComplete;
}

int32_t Fragments::TakeLost() {
  const int32_t lost = lost_;
  lost_ = 0;
  return lost;
}

// The packet's row, made when it is new.
Fragments::Packet& Fragments::Find(int32_t port, int32_t now_s, const Piece& piece) {
  const uint8_t* const addresses = piece.ip + IPV6_ADDRESSES;
  Packet* found = nullptr;
  Packet* place = &packets_[0];
  for (int32_t i = 0; i < PACKETS; i++) {
    Packet& packet = packets_[i];
    if (packet.is_used && now_s - packet.since_s >= TIMEOUT_S) GiveUp(packet);
    if (!packet.is_used) {
      place = &packet;
      continue;
    }
    if (packet.port == port && packet.id == piece.id && memcmp(packet.addresses, addresses, 32) == 0) found = &packet;
    if (place->is_used && static_cast<int32_t>(packet.order - place->order) < 0) place = &packet;
  }
  if (found != nullptr) return *found;
  if (place->is_used) GiveUp(*place);
  place->is_used = true;
  place->port = port;
  place->since_s = now_s;
  place->order = next_order_++;
  memcpy(place->addresses, addresses, sizeof(place->addresses));
  place->id = piece.id;
  place->total = 0;
  place->received = 0;
  place->ecn_seen = 0;
  place->header_length = 0;
  memset(place->present, 0, sizeof(place->present));
  return *place;
}

bool Fragments::Put(Packet& packet, const Piece& piece) {
  const uint32_t end = piece.offset + piece.length;
  if (piece.length == 0 || end > MAX_PAYLOAD || (!piece.is_last && piece.length % 8 != 0)) return false;
  if (packet.total != 0 && (end > packet.total || (piece.is_last && end != packet.total))) return false;
  const uint32_t first = piece.offset / 8;
  const uint32_t last = (end - 1) / 8;
  uint32_t known = 0;
  for (uint32_t unit = first; unit <= last; unit++) known += packet.present[unit / 64] >> unit % 64 & 1;
  if (known == last - first + 1) return true;
  if (known != 0) return false;
  if (piece.is_last) {
    // Nothing may be behind the end.
    for (uint32_t unit = last + 1; unit < UNITS; unit++) {
      if ((packet.present[unit / 64] >> unit % 64 & 1) != 0) return false;
    }
    packet.total = end;
  }
  for (uint32_t unit = first; unit <= last; unit++) packet.present[unit / 64] |= uint64_t{1} << unit % 64;
  memcpy(packet.payload + piece.offset, piece.data, piece.length);
  packet.received += piece.length;
  packet.ecn_seen |= static_cast<uint8_t>(1 << EcnOf(piece.ip));
  if (piece.offset != 0) return true;
  // The header before the fragment header names what comes behind it.
  memcpy(packet.headers, piece.ip, piece.headers);
  packet.headers[piece.headers > IPV6 ? IPV6 : IPV6_NEXT_HEADER] = piece.next_header;
  packet.header_length = piece.headers;
  return true;
}

bool Fragments::Finish(const Packet& packet, uint8_t* ip, uint32_t room, uint32_t& length) {
  const bool is_marked = (packet.ecn_seen & 1 << CE) != 0;
  if (is_marked && (packet.ecn_seen & 1 << NOT_ECT) != 0) return false;
  const uint32_t payload = packet.header_length - IPV6 + packet.total;
  length = IPV6 + payload;
  if (payload > MAX_PAYLOAD || length > room) return false;
  memcpy(ip, packet.headers, packet.header_length);
  memcpy(ip + packet.header_length, packet.payload, packet.total);
  Store16(ip + IPV6_PAYLOAD_LENGTH, htobe16(static_cast<uint16_t>(payload)));
  if (is_marked) ip[1] |= CE << 4;
  return true;
}

void Fragments::GiveUp(Packet& packet) {
  packet.is_used = false;
  lost_++;
}

}  // namespace vtepd
