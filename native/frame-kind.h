// What an overlay frame begins with.
#ifndef VTEPD_FRAME_KIND_H_
#define VTEPD_FRAME_KIND_H_

#include <cstdint>

namespace vtepd {

// An Ethernet header, or at once an IPv4 or IPv6 header (FLAG_IP_PACKET).
enum class FrameKind : uint8_t { kEthernet, kIpPacket };

}  // namespace vtepd

#endif  // VTEPD_FRAME_KIND_H_
