#include "header-layout.h"

#include <bit>

#include "abi.h"
#include "packet.h"

namespace vtepd {

namespace {

// ERSPAN in GRE (src/wire/erspan.ts): protocol types, bytes, and the bit by which 8 more follow.
constexpr uint16_t TYPE_ERSPAN = 0x88be;
constexpr uint16_t TYPE_ERSPAN_III = 0x22eb;
constexpr uint32_t ERSPAN_II_BYTES = 8;
constexpr uint32_t ERSPAN_III_BYTES = 12;
constexpr uint32_t ERSPAN_PLATFORM_BYTES = 8;
constexpr uint32_t ERSPAN_III_OPTION = 11;  // Its byte.
constexpr uint8_t GRE_HAS_SEQUENCE = 0x10;

// What stands between the GRE header, which ends at `end`, and a mirrored frame.
uint32_t ErspanBytes(uint16_t type, const uint8_t* gre, uint32_t end, uint32_t size) {
  if (type == TYPE_ERSPAN) return (gre[0] & GRE_HAS_SEQUENCE) != 0 ? ERSPAN_II_BYTES : 0;
  const bool has_more = size > end + ERSPAN_III_OPTION && (gre[end + ERSPAN_III_OPTION] & 1) != 0;
  return ERSPAN_III_BYTES + (has_more ? ERSPAN_PLATFORM_BYTES : 0);
}

constexpr uint32_t ESP_HEADER_BYTES = 16;  // As ESP_HEADER of esp.h.

}  // namespace

bool HeaderLayout::Parse(int32_t word) {
  const int32_t payload = word & abi::HEADER_PAYLOAD_MASK;
  const uint32_t base = static_cast<uint32_t>(word & abi::HEADER_BASE_MASK);
  prefix_ = static_cast<uint32_t>((word & abi::HEADER_PREFIX_MASK) >> abi::HEADER_PREFIX_SHIFT) * 4;
  fixed_ = prefix_ + base;
  flags_ = static_cast<uint8_t>((word & abi::HEADER_FLAGS_MASK) >> abi::HEADER_FLAGS_SHIFT);
  units_ = static_cast<uint8_t>((word & abi::HEADER_UNITS_MASK) >> abi::HEADER_UNITS_SHIFT);
  is_sealed_ = payload == abi::HEADER_PAYLOAD_SEALED;
  kind_ = payload == abi::HEADER_PAYLOAD_IP || is_sealed_ ? FrameKind::kIpPacket : FrameKind::kEthernet;
  has_ethertype_ = payload == abi::HEADER_PAYLOAD_ETHERTYPE;
  verifies_checksum_ = (word & abi::HEADER_CHECKSUM) != 0;
  is_constant_ = flags_ == 0 && units_ == 0 && !has_ethertype_;
  if (word < 0) return false;
  // ESP has one header and nothing before it.
  if (is_sealed_) return word == (abi::HEADER_PAYLOAD_SEALED | static_cast<int32_t>(ESP_HEADER_BYTES));
  if (!is_constant_ && base < 1) return false;
  if (has_ethertype_ && base < GRE) return false;
  // The bit that says there is a checksum must be one that makes room for it.
  return !verifies_checksum_ || (base >= GRE && (flags_ & GRE_HAS_CHECKSUM) != 0);
}

HeaderLayout::Extent HeaderLayout::MeasureVariable(const uint8_t* datagram, uint32_t size) const {
  if (size < fixed_) return {fixed_, kind_};
  const uint8_t* const header = datagram + prefix_;
  const uint32_t units = static_cast<uint32_t>(std::popcount(static_cast<uint8_t>(header[0] & flags_)));
  const uint32_t length = fixed_ + 4 * (units + (header[0] & units_));
  if (!has_ethertype_) return {length, kind_};
  const uint16_t type = Big16(header + GRE_PROTOCOL);
  if (type == TYPE_ETHERNET) return {length, FrameKind::kEthernet};
  if (type != TYPE_ERSPAN && type != TYPE_ERSPAN_III) return {length, FrameKind::kIpPacket};
  return {length + ErspanBytes(type, header, length - prefix_, size - prefix_), FrameKind::kEthernet};
}

bool HeaderLayout::AreEqualButChecksum(const uint8_t* a, const uint8_t* b, uint32_t length) const {
  const uint32_t before = prefix_ + GRE_CHECKSUM;
  const uint32_t behind = before + sizeof(uint16_t);
  return memcmp(a, b, before) == 0 && memcmp(a + behind, b + behind, length - behind) == 0;
}

}  // namespace vtepd
