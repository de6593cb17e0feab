// What a packet socket of the underlay takes, decided by the kernel before anything is copied: IP packets for one local
// address and one IP protocol (for UDP: and one port), on devices whose link layer we can read.
#ifndef VTEPD_PACKET_FILTER_H_
#define VTEPD_PACKET_FILTER_H_

#include <linux/filter.h>
#include <net/if_arp.h>

#include <cstdint>
#include <vector>

#include "packet.h"

// Linux 4.15; the headers of a build host may be older than the kernel below it.
#ifndef ARPHRD_RAWIP
#define ARPHRD_RAWIP 519
#endif

namespace vtepd {

// Explained in src/binding/addon.ts.
struct PacketSelection {
  std::vector<uint8_t> address;
  uint8_t protocol = 0;
  uint16_t port = 0;
  bool is_group = false;
  bool accept_zero_checksum6 = false;

  bool IsIpv6() const { return address.size() == 16; }
};

std::vector<sock_filter> MakePacketFilter(const PacketSelection& selection);

// Bytes in front of the IP header in a message from a device of this type (sll_hatype) that the filter let through.
inline uint32_t LinkHeaderBytes(uint16_t device_type) {
  return device_type == ARPHRD_ETHER || device_type == ARPHRD_LOOPBACK ? ETHERNET : 0;
}

}  // namespace vtepd

#endif  // VTEPD_PACKET_FILTER_H_
