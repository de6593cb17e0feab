// What an Io knows of one descriptor.
#ifndef VTEPD_PORT_H_
#define VTEPD_PORT_H_

#include <cstdint>

#include "abi.h"
#include "header-layout.h"

namespace vtepd {

// What became of a read or write on a port.
enum class PortState { kAlive, kGone };

struct Port {
  int fd = -1;  // Borrowed; below 0: no port of this id.
  int32_t id = 0;
  int32_t kind = 0;             // abi::PORT_*
  int32_t features = 0;         // Sum of abi::FEATURE_*; FEATURE_SEGMENT goes when the kernel refuses it for good.
  HeaderLayout header;          // Where the frame is in a datagram, and what a TAP or TUN reads.
  uint32_t overflow = 0;        // Last value of the socket's drop counter (SO_RXQ_OVFL).
  uint32_t failed_reads = 0;    // TAP reads that failed since the last that did not.
  uint16_t identification = 0;  // Uplink: of the next packet (IPv4).
  uint32_t sequence = 0;        // GRE: of the next datagram sent.
  uint32_t refusals = 0;        // Sends with UDP_SEGMENT refused since the last that was not.
  bool gone = false;            // Its device vanished; no longer polled.
  // During one `send`: first and last action on this port, linked through UdpSender; below 0: none.
  int32_t first_action = -1;
  int32_t last_action = -1;

  bool Has(int32_t feature) const { return (features & feature) != 0; }
  bool IsReceiver() const { return kind == abi::PORT_UDP_RX || kind == abi::PORT_PACKET_RX; }
  bool IsTap() const { return kind == abi::PORT_TAP || kind == abi::PORT_TAP_TX; }
};

}  // namespace vtepd

#endif  // VTEPD_PORT_H_
