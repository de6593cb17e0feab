// Packet sockets that receive what is for one underlay address, IP protocol and UDP port before IP's own sockets do:
// making them. What reads them is udp-receiver.cc, by the layout in outer.h.
#ifndef VTEPD_PACKET_SOCKET_H_
#define VTEPD_PACKET_SOCKET_H_

#include <napi.h>

namespace vtepd {

Napi::Value OpenPacketSockets(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_PACKET_SOCKET_H_
