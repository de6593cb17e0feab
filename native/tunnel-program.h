// A BPF program for an uplink's device, by which the kernel cuts superframes in GRE, IPIP or SIT. Linux 6.6 (tcx).
#ifndef VTEPD_TUNNEL_PROGRAM_H_
#define VTEPD_TUNNEL_PROGRAM_H_

#include <napi.h>

#include <cstdint>

namespace vtepd {

// What the program is told of a superframe, in the source address of the uplink's Ethernet header.
struct TunnelHint {
  uint8_t prefix;         // 2: a local address, as it should be.
  uint8_t header_bytes;   // From the outer IP header to the inner one.
  uint8_t inner_link;     // How many of them are the inner link-layer header.
  uint8_t encapsulation;  // ENCAPSULATED_*
  uint8_t inner_ipv6;     // 1 for a bare IPv6 packet inside, which no link-layer header tells of.
  uint8_t unused;
};
static_assert(sizeof(TunnelHint) == 6);

inline constexpr uint8_t LOCAL_ADDRESS = 2;
inline constexpr uint32_t MAX_TUNNEL_HEADER = 64;

// BPF_F_ADJ_ROOM_*: the segment size stays, an IPv4 header outside; GRE behind it, and Ethernet in that.
inline constexpr uint8_t ENCAPSULATED_IN_IPV4 = 1 | 2;
inline constexpr uint8_t ENCAPSULATED_IN_GRE = 8;
inline constexpr uint8_t ENCAPSULATED_ETHERNET = 64;

// addon.probeTunnelProgram, addon.attachTunnelProgram; see src/binding/addon.ts.
Napi::Value ProbeTunnelProgram(const Napi::CallbackInfo& info);
Napi::Value AttachTunnelProgram(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_TUNNEL_PROGRAM_H_
