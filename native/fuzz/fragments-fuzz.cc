// Fragments of packets over IPv6, in any order, at any place, as time goes by. Checked: nothing outside a message is
// read or written (the sanitizers); what comes out whole is what a table of bytes, kept beside by the book, has for it;
// nothing is given up, kept or found invalid but what that table says. Other bytes are messages as they are, checked by
// the sanitizers only.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "../fragments.h"
#include "../outer.h"
#include "../packet.h"

namespace {

using vtepd::Fragments;

constexpr uint32_t LINK_HEADER = 14;
constexpr uint32_t IP_OFFSET = vtepd::PACKET_VNET_HEADER + LINK_HEADER;
constexpr uint32_t FRAGMENT_HEADER = 8;
constexpr uint32_t MAX_PACKET = 65535;
constexpr uint8_t PAYLOAD_PROTOCOL = 47;

void Check(bool holds) {
  if (!holds) abort();
}

struct Input {
  const uint8_t* data;
  size_t left;

  uint8_t Byte() { return left == 0 ? 0 : (left--, *data++); }
  uint16_t Word() { return static_cast<uint16_t>(Byte() << 8 | Byte()); }
};

struct Fragment {
  uint8_t id;
  int32_t port;
  uint8_t ecn;
  bool is_last;
  bool has_options;
  uint32_t offset;
  std::vector<uint8_t> data;
};

// A packet by the book: what is known of each eight bytes.
struct Packet {
  int32_t since_s;
  uint32_t order;
  uint32_t total = 0;
  uint32_t received = 0;
  uint8_t ecn_seen = 0;
  bool has_options = false;
  std::map<uint32_t, std::vector<uint8_t>> units;
};

struct Model {
  std::map<std::pair<int32_t, uint8_t>, Packet> packets;
  uint32_t order = 0;
  int32_t lost = 0;

  Fragments::Outcome Take(const Fragment& fragment, int32_t now_s, std::vector<uint8_t>& whole, uint8_t& ecn) {
    for (auto it = packets.begin(); it != packets.end();) {
      const bool is_old = now_s - it->second.since_s >= Fragments::TIMEOUT_S;
      if (is_old) lost++;
      it = is_old ? packets.erase(it) : std::next(it);
    }
    const auto key = std::make_pair(fragment.port, fragment.id);
    if (!packets.contains(key)) {
      if (packets.size() == static_cast<size_t>(Fragments::PACKETS)) {
        packets.erase(std::min_element(packets.begin(), packets.end(),
                                       [](const auto& a, const auto& b) { return a.second.order < b.second.order; }));
        lost++;
      }
      Packet& packet = packets[key];
      packet.since_s = now_s;
      packet.order = order++;
    }
    Packet& packet = packets[key];
    const auto give_up = [&] {
      packets.erase(key);
      lost++;
      return Fragments::Outcome::kInvalid;
    };
    const uint32_t end = fragment.offset + static_cast<uint32_t>(fragment.data.size());
    if (fragment.data.empty() || end > MAX_PACKET) return give_up();
    if (!fragment.is_last && fragment.data.size() % 8 != 0) return give_up();
    if (packet.total != 0 && (end > packet.total || (fragment.is_last && end != packet.total))) return give_up();
    // A unit of eight bytes is there or not, also the last one that has fewer.
    const uint32_t first = fragment.offset / 8;
    const uint32_t behind = (end + 7) / 8;
    uint32_t known = 0;
    for (uint32_t unit = first; unit < behind; unit++) known += packet.units.contains(unit);
    if (known != 0 && known != behind - first) return give_up();
    if (known == 0) {
      if (fragment.is_last && packet.units.lower_bound(behind) != packet.units.end()) return give_up();
      if (fragment.is_last) packet.total = end;
      for (uint32_t unit = first; unit < behind; unit++) {
        const auto begin = fragment.data.begin() + (unit - first) * 8;
        packet.units[unit].assign(begin, std::min(begin + 8, fragment.data.end()));
      }
      packet.received += end - fragment.offset;
      packet.ecn_seen |= static_cast<uint8_t>(1 << fragment.ecn);
      if (fragment.offset == 0) packet.has_options = fragment.has_options;
    }
    if (packet.total == 0 || packet.received < packet.total) return Fragments::Outcome::kWaiting;
    const bool is_marked = (packet.ecn_seen & 8) != 0;
    const uint32_t headers = packet.has_options ? vtepd::IPV6_OPTIONS : 0;
    if ((is_marked && (packet.ecn_seen & 1) != 0) || headers + packet.total > MAX_PACKET) return give_up();
    ecn = is_marked ? 3 : 0;
    for (const auto& [unit, bytes] : packet.units) whole.insert(whole.end(), bytes.begin(), bytes.end());
    packets.erase(key);
    return Fragments::Outcome::kComplete;
  }
};

Fragment ReadFragment(Input& input) {
  Fragment fragment;
  const uint8_t who = input.Byte();
  const uint8_t what = input.Byte();
  fragment.id = who & 31;
  fragment.port = who >> 7;
  fragment.ecn = what & 3;
  fragment.is_last = (what & 4) != 0;
  fragment.has_options = (what & 8) != 0;
  // Mostly small ones, which meet; else anywhere.
  fragment.offset = ((what & 16) != 0 ? input.Word() & 0x1fff : input.Byte() & 15) * 8U;
  fragment.data.resize((what & 32) != 0 ? input.Word() % 1400 : (input.Byte() & 7) * 8U);
  if (fragment.is_last && (what & 64) != 0) fragment.data.resize(fragment.data.size() + input.Byte() % 8);
  for (uint8_t& byte : fragment.data) byte = input.Byte();
  return fragment;
}

uint32_t Write(const Fragment& fragment, uint8_t* message) {
  const uint32_t options = fragment.has_options ? vtepd::IPV6_OPTIONS : 0;
  uint8_t* const ip = message + IP_OFFSET;
  memset(message, 0x55, IP_OFFSET);
  memset(ip, 0, vtepd::IPV6 + options);
  ip[0] = 0x60;
  ip[1] = static_cast<uint8_t>(fragment.ecn << 4);
  const uint32_t payload = options + FRAGMENT_HEADER + static_cast<uint32_t>(fragment.data.size());
  ip[4] = static_cast<uint8_t>(payload >> 8);
  ip[5] = static_cast<uint8_t>(payload);
  ip[6] = fragment.has_options ? vtepd::DESTINATION_OPTIONS : vtepd::FRAGMENT;
  if (fragment.has_options) ip[vtepd::IPV6] = vtepd::FRAGMENT;
  uint8_t* const header = ip + vtepd::IPV6 + options;
  const uint32_t place = fragment.offset | (fragment.is_last ? 0 : 1);
  const uint8_t fields[FRAGMENT_HEADER] = {
      PAYLOAD_PROTOCOL, 0, static_cast<uint8_t>(place >> 8), static_cast<uint8_t>(place), 0, 0, 0, fragment.id};
  memcpy(header, fields, sizeof(fields));
  if (!fragment.data.empty()) memcpy(header + FRAGMENT_HEADER, fragment.data.data(), fragment.data.size());
  return IP_OFFSET + vtepd::IPV6 + payload;
}

void CheckWhole(const uint8_t* message, uint32_t length, const std::vector<uint8_t>& whole, uint8_t ecn) {
  const uint8_t* const ip = message + IP_OFFSET;
  const uint32_t options = ip[6] == vtepd::DESTINATION_OPTIONS ? vtepd::IPV6_OPTIONS : 0;
  Check((options == 0 ? ip[6] : ip[vtepd::IPV6]) == PAYLOAD_PROTOCOL);
  Check(length == IP_OFFSET + vtepd::IPV6 + options + whole.size());
  Check(static_cast<uint32_t>(ip[4] << 8 | ip[5]) == options + whole.size());
  Check(memcmp(ip + vtepd::IPV6 + options, whole.data(), whole.size()) == 0);
  if (ecn == 3) Check((ip[1] >> 4 & 3) == 3);
  for (uint32_t i = 0; i < vtepd::PACKET_VNET_HEADER; i++) Check(message[i] == 0);
}

void CheckFragments(Input input, Fragments& fragments) {
  Model model;
  int32_t now_s = 0;
  const uint32_t room = IP_OFFSET + vtepd::IPV6 + MAX_PACKET;
  const std::unique_ptr<uint8_t[]> message(new uint8_t[room]);
  while (input.left > 0) {
    const uint8_t pause = input.Byte();
    if (pause >= 0xf0) now_s += (pause & 15) * 5;
    const Fragment fragment = ReadFragment(input);
    uint32_t length = Write(fragment, message.get());
    if (length > room) continue;
    std::vector<uint8_t> whole;
    uint8_t ecn = 0;
    const Fragments::Outcome expected = model.Take(fragment, now_s, whole, ecn);
    Check(fragments.Take(fragment.port, now_s, LINK_HEADER, message.get(), length, room) == expected);
    if (expected == Fragments::Outcome::kComplete) CheckWhole(message.get(), length, whole, ecn);
    Check(fragments.TakeLost() == model.lost);
    model.lost = 0;
  }
}

// Messages of any bytes, each in memory of its own size.
void TakeAnything(Input input, Fragments& fragments) {
  int32_t now_s = 0;
  while (input.left > 0) {
    const uint32_t length = std::min<size_t>(input.Byte(), input.left);
    const uint32_t room = length + input.Byte();
    const uint32_t taken = std::min<size_t>(length, input.left);
    const std::unique_ptr<uint8_t[]> message(new uint8_t[room]);
    memcpy(message.get(), input.data, taken);
    input.data += taken;
    input.left -= taken;
    uint32_t after = taken;
    fragments.Take(0, now_s++, (taken & 1) != 0 ? LINK_HEADER : 0, message.get(), after, room);
    Check(after <= room);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Fragments fragments;
  fragments.Prepare();
  Input input{data, size};
  if (input.Byte() % 4 == 0) {
    TakeAnything(input, fragments);
  } else {
    CheckFragments(input, fragments);
  }
  return 0;
}
