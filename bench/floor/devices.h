// The floor's descriptors, with the options vtepd's have. A call that fails ends the program with 1 and its name.
#ifndef VTEPD_BENCH_FLOOR_DEVICES_H_
#define VTEPD_BENCH_FLOOR_DEVICES_H_

#include <netinet/in.h>
#include <stdint.h>

// `result`, unless it is below 0.
int Check(int result, const char *what);

// A TAP, up, with a vnet header; with `superframes` the kernel hands over uncut TCP and UDP (TSO, USO).
int OpenTap(const char *name, const uint8_t mac[6], int mtu, bool superframes);

// Bound to the VXLAN port; with `merges` datagrams of one sender may come in one message (UDP_GRO).
int OpenReceiver(in_addr local, uint16_t port, bool merges);

// On an ephemeral port.
int OpenSender(in_addr local);

// A TUN, up, with a vnet header; the kernel hands over uncut TCP and UDP.
int OpenTun(const char *name, int mtu);

// A raw socket of an IP protocol that receives nothing.
int OpenRawSender(in_addr local, uint8_t protocol);

// A packet socket with a vnet header for IPv4 packets of a protocol to an address.
int OpenPacketReceiver(in_addr local, uint8_t protocol);

#endif  // VTEPD_BENCH_FLOOR_DEVICES_H_
