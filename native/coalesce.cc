// How it works
//
// A group goes through unread -> unverified -> open -> closed. Start only remembers the frame, since most small frames
// stay alone. The first Append reads its headers; what cannot begin a superframe closes the group at once. Every
// candidate is then compared with the first frame: all header bytes that may not change, a word at a time, before
// anything is computed. Checksums come last: the first frame's when the second fits otherwise, each later one's before
// it is taken.
//
// Invariants
// - Every frame of an open group had a right IPv4 header checksum, a right TCP or UDP checksum, a payload, and an IP
//   packet that ends with the frame: padding would end up inside the superframe.
// - All but the last frame have gso_size_ bytes of payload; the last one's FIN and PSH are the superframe's.
// - Splitting the superframe gives back every frame but for two fields: the identification of IPv4 packets that may not
//   be fragmented (RFC 6864 gives it no meaning there), and which of the two zeros of one's complement a checksum has.
// - The first frame is not written to before Finish, and then only if it has company.
//
// Stricter than the kernel, which looks neither for ACK nor at the urgent pointer, and lately merges CWR: none of that
// is bulk data. The window must not change: the kernel compares it too, in one word with the flags.
#include "coalesce.h"

#include <cstring>

#include "checksum.h"
#include "packet.h"

namespace vtepd {

namespace {

constexpr uint8_t IPV4_WITHOUT_OPTIONS = 0x45;
constexpr uint16_t DONT_FRAGMENT = 0x4000;

// What the total length field of IPv4 can hold; IPv6 could have 40 more, which the kernel's limits do not allow for.
constexpr uint32_t MAX_IP_LENGTH = 65535;

// The bits in which two headers differ, 4 or 8 bytes at a time.
uint32_t Difference32(const uint8_t* a, const uint8_t* b) {
  return Load32(a) ^ Load32(b);
}
uint64_t Difference64(const uint8_t* a, const uint8_t* b) {
  return Load64(a) ^ Load64(b);
}

// Tunnels in UDP. Kernels before 6.8.5 lose UDP superframes that reach a tunnel's socket, and the inner packets of any
// kernel's tunnel would not be looked at by GRO a second time.
bool IsTunnelPort(uint16_t port) {
  switch (port) {
    case 500:   // IKE
    case 4500:  // ESP in UDP
    case 4754:  // GRE in UDP
    case 4789:  // VXLAN
    case 5555:  // Foo over UDP
    case 6080:  // GUE
    case 6081:  // Geneve
    case 8472:  // VXLAN, as Linux has it by default
      return true;
    default:
      return false;
  }
}

// The folded sum of the 20 bytes of an IPv4 header.
uint16_t Ipv4HeaderSum(const uint8_t* ip) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < IPV4; i += 4) sum += Load32(ip + i);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>((sum & 0xffff) + (sum >> 16));
}

}  // namespace

void Group::Start(uint8_t* frame, uint32_t length, FrameKind kind) {
  first_ = frame;
  first_length_ = length;
  kind_ = kind;
  segments_ = 1;
  state_ = State::kUnread;
}

bool Group::Append(uint8_t* frame, uint32_t length, iovec& payload) {
  if (state_ == State::kClosed) return false;
  if (state_ == State::kUnread) {
    state_ = ReadFirst() ? State::kUnverified : State::kClosed;
    if (state_ == State::kClosed) return false;
  }
  // Also what keeps all reads of headers below inside the frame.
  if (length <= header_length_ || length - header_length_ > gso_size_) return false;
  const uint32_t size = length - header_length_;
  if (header_length_ - ip_offset_ + payload_length_ + size > MAX_IP_LENGTH) return false;
  if (!IsSameFlow(frame) || !LengthsAgree(frame, length) || !IsNext(frame)) return false;
  if (state_ == State::kUnverified) {
    constant_sum_ =
        FoldSum(AddBytes(first_ + ip_offset_ + (is_ipv6_ ? IPV6_ADDRESSES : IPV4_ADDRESSES), is_ipv6_ ? 32 : 8, 0)) +
        htobe16(is_udp_ ? PROTOCOL_UDP : PROTOCOL_TCP);
    state_ = ChecksumsAreRight(first_, first_length_) ? State::kOpen : State::kClosed;
    if (state_ == State::kClosed) return false;
  }
  if (!ChecksumsAreRight(frame, length)) return false;

  if (segments_ == 1) identification_is_fixed_ = !is_ipv6_ && IdentificationStep(frame) == 0;
  last_flags_ = is_udp_ ? 0 : frame[l4_offset_ + TCP_FLAGS] & (FIN | PSH);
  payload_length_ += size;
  segments_++;
  if (size < gso_size_ || last_flags_ != 0 || segments_ == MAX_SEGMENTS) state_ = State::kClosed;
  payload = {frame + header_length_, size};
  return true;
}

bool Group::Finish(MergedFrame& merged) {
  state_ = State::kClosed;
  if (segments_ < 2) return false;
  const uint32_t l4_length = header_length_ - l4_offset_ + payload_length_;
  uint8_t* const l4 = first_ + l4_offset_;
  WriteIpHeader(first_ + ip_offset_, l4_length);
  if (is_udp_) {
    Store16(l4 + UDP_LENGTH, htobe16(static_cast<uint16_t>(l4_length)));
  } else {
    l4[TCP_FLAGS] |= last_flags_;
  }
  const uint32_t csum_offset = is_udp_ ? UDP_CHECKSUM : TCP_CHECKSUM;
  Store16(l4 + csum_offset, PseudoHeaderSum(l4_length));
  merged.gso_type = static_cast<uint8_t>(is_udp_ ? abi::GSO_UDP_L4 : is_ipv6_ ? abi::GSO_TCPV6 : abi::GSO_TCPV4);
  merged.gso_size = static_cast<uint16_t>(gso_size_);
  merged.header_length = static_cast<uint16_t>(header_length_);
  merged.csum_start = static_cast<uint16_t>(l4_offset_);
  merged.csum_offset = static_cast<uint16_t>(csum_offset);
  merged.length = header_length_ + payload_length_;
  merged.segments = segments_;
  segments_ = 0;
  return true;
}

bool Group::ReadFirst() {
  const bool is_ip_packet = kind_ == FrameKind::kIpPacket;
  ip_offset_ = is_ip_packet ? 0 : ETHERNET;
  if (first_length_ <= ip_offset_) return false;
  uint16_t type = is_ip_packet ? TypeOfIpPacket(first_) : Big16(first_ + ETHERNET - 2);
  for (int i = 0; i < MAX_VLAN_TAGS && (type == TYPE_8021Q || type == TYPE_8021AD); i++) {
    ip_offset_ += VLAN_TAG;
    if (ip_offset_ > first_length_) return false;
    type = Big16(first_ + ip_offset_ - 2);
  }
  is_ipv6_ = type == TYPE_IPV6;
  if (!is_ipv6_ && type != TYPE_IPV4) return false;
  l4_offset_ = ip_offset_ + (is_ipv6_ ? IPV6 : IPV4);
  if (l4_offset_ + UDP > first_length_) return false;

  const uint8_t* const ip = first_ + ip_offset_;
  if (is_ipv6_ ? ip[0] >> 4 != 6 : ip[0] != IPV4_WITHOUT_OPTIONS) return false;
  if (!is_ipv6_ && (Big16(ip + IPV4_FRAGMENT) & ~DONT_FRAGMENT) != 0) return false;
  const uint8_t protocol = is_ipv6_ ? ip[IPV6_NEXT_HEADER] : ip[IPV4_PROTOCOL];
  is_udp_ = protocol == PROTOCOL_UDP;
  if (is_udp_ ? !merge_udp_ : protocol != PROTOCOL_TCP) return false;

  const uint8_t* const l4 = first_ + l4_offset_;
  if (is_udp_) {
    if (IsTunnelPort(Big16(l4)) || IsTunnelPort(Big16(l4 + 2))) return false;
    header_length_ = l4_offset_ + UDP;
  } else {
    if (l4_offset_ + TCP > first_length_) return false;
    // FIN and PSH end a group, so with the first frame it would end before it began. ECE must then be on all.
    if ((l4[TCP_FLAGS] & ~ECE) != ACK) return false;
    const uint32_t tcp_length = (l4[TCP_DATA_OFFSET] >> 4) * 4U;
    if (tcp_length < TCP) return false;
    header_length_ = l4_offset_ + tcp_length;
  }
  if (header_length_ >= first_length_ || !LengthsAgree(first_, first_length_)) return false;
  gso_size_ = first_length_ - header_length_;
  payload_length_ = gso_size_;
  return true;
}

// Whether everything that must be equal in all frames is. The frame is as long as the first one's headers at least.
bool Group::IsSameFlow(const uint8_t* frame) const {
  uint64_t difference = 0;
  if (const uint32_t end = ip_offset_; end != 0) {
    // MACs, tags and type: 14, 18 or 22 bytes by three words that overlap.
    difference = Difference64(first_, frame) | Difference64(first_ + end - 14, frame + end - 14) |
                 Difference64(first_ + end - 8, frame + end - 8);
  }
  const uint8_t* a = first_ + ip_offset_;
  const uint8_t* b = frame + ip_offset_;
  if (is_ipv6_) {
    // All but the payload length.
    difference |= Difference64(a, b) & htobe64(0xffffffff0000ffff);
    for (uint32_t i = 8; i < IPV6; i += 8) difference |= Difference64(a + i, b + i);
  } else {
    // All but the total length, the identification and the checksum.
    difference |= Difference64(a, b) & htobe64(0xffff00000000ffff);
    difference |= Difference64(a + 8, b + 8) & htobe64(0xffff0000ffffffff);
    difference |= Difference32(a + 16, b + 16);
  }
  a = first_ + l4_offset_;
  b = frame + l4_offset_;
  difference |= Difference32(a, b);  // Ports.
  if (is_udp_) return difference == 0;
  // Acknowledgement, data offset, flags but FIN and PSH, window, urgent pointer, options.
  difference |= Difference64(a + TCP_ACKNOWLEDGEMENT, b + TCP_ACKNOWLEDGEMENT) & htobe64(0xfffffffffff6ffff);
  difference |= Difference32(a + TCP_CHECKSUM, b + TCP_CHECKSUM) & htobe32(0x0000ffff);
  for (uint32_t i = TCP; i < header_length_ - l4_offset_; i += 4) difference |= Difference32(a + i, b + i);
  return difference == 0;
}

// Whether the IP packet, and a UDP datagram in it, end where the frame ends.
bool Group::LengthsAgree(const uint8_t* frame, uint32_t length) const {
  const uint8_t* const ip = frame + ip_offset_;
  const uint32_t ip_length = is_ipv6_ ? IPV6 + Big16(ip + IPV6_PAYLOAD_LENGTH) : Big16(ip + IPV4_TOTAL_LENGTH);
  if (ip_length != length - ip_offset_) return false;
  return !is_udp_ || Big16(frame + l4_offset_ + UDP_LENGTH) == length - l4_offset_;
}

// Whether the frame, which is of the same flow, comes right behind those that are in the group.
bool Group::IsNext(const uint8_t* frame) const {
  if (!is_udp_) {
    if (Big32(frame + l4_offset_ + TCP_SEQUENCE) != Big32(first_ + l4_offset_ + TCP_SEQUENCE) + payload_length_)
      return false;
  }
  if (is_ipv6_) return true;
  const uint16_t step = IdentificationStep(frame);
  if (segments_ > 1) return step == (identification_is_fixed_ ? 0 : segments_);
  return step == 1 || (step == 0 && Big16(frame + ip_offset_ + IPV4_FRAGMENT) == DONT_FRAGMENT);
}

uint16_t Group::IdentificationStep(const uint8_t* frame) const {
  return static_cast<uint16_t>(Big16(frame + ip_offset_ + IPV4_ID) - Big16(first_ + ip_offset_ + IPV4_ID));
}

bool Group::ChecksumsAreRight(const uint8_t* frame, uint32_t length) const {
  if (!is_ipv6_ && Ipv4HeaderSum(frame + ip_offset_) != 0xffff) return false;
  const uint8_t* const l4 = frame + l4_offset_;
  // None at all: only the sender knows whether the payload is what it was.
  if (is_udp_ && Load16(l4 + UDP_CHECKSUM) == 0) return false;
  const uint32_t l4_length = length - l4_offset_;
  return FoldSum(AddBytes(l4, l4_length, PseudoHeaderSum(l4_length))) == 0xffff;
}

uint16_t Group::PseudoHeaderSum(uint32_t l4_length) const {
  return FoldSum(constant_sum_ + htobe16(static_cast<uint16_t>(l4_length)));
}

void Group::WriteIpHeader(uint8_t* ip, uint32_t l4_length) const {
  if (is_ipv6_) {
    Store16(ip + IPV6_PAYLOAD_LENGTH, htobe16(static_cast<uint16_t>(l4_length)));
    return;
  }
  Store16(ip + IPV4_TOTAL_LENGTH, htobe16(static_cast<uint16_t>(IPV4 + l4_length)));
  Store16(ip + IPV4_CHECKSUM, 0);
  Store16(ip + IPV4_CHECKSUM, static_cast<uint16_t>(~Ipv4HeaderSum(ip)));
}

}  // namespace vtepd
