#include "header-layout.h"

#include <bit>

#include "abi.h"
#include "packet.h"

namespace vtepd {

namespace {

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
  const FrameKind kind = !has_ethertype_                                 ? kind_
                         : Big16(header + GRE_PROTOCOL) == TYPE_ETHERNET ? FrameKind::kEthernet
                                                                         : FrameKind::kIpPacket;
  return {fixed_ + 4 * (units + (header[0] & units_)), kind};
}

bool HeaderLayout::AreEqualButChecksum(const uint8_t* a, const uint8_t* b, uint32_t length) const {
  const uint32_t before = prefix_ + GRE_CHECKSUM;
  const uint32_t behind = before + sizeof(uint16_t);
  return memcmp(a, b, before) == 0 && memcmp(a + behind, b + behind, length - behind) == 0;
}

}  // namespace vtepd
