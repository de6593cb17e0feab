// VXLAN packets into an uplink: a TAP whose frames the host's own stack forwards to the underlay (tier tunnel). One
// write carries a whole superframe, which the kernel or the network card cuts (TUN_F_UDP_TUNNEL_GSO, Linux 6.17).
#ifndef VTEPD_UPLINK_H_
#define VTEPD_UPLINK_H_

#include <cstdint>

#include "memory.h"
#include "port.h"

namespace vtepd {

// Puts the outer headers before a frame and writes both with one writev. `outer` is the action's template: Ethernet to
// the uplink's own MAC, IPv4 without options, UDP, and the tunnel header; `fields` is its ACTION_OUTER. Filled in here
// are the lengths, the identification, the source port (of the frame's flow hash) and the two checksums. Returns 0 or
// an errno; `state` says whether the device is still there.
int32_t WriteEncapsulated(Port& port, const abi::Frame& frame, Bytes bytes, Bytes outer, int32_t fields,
                          PortState& state);

}  // namespace vtepd

#endif  // VTEPD_UPLINK_H_
