// Packet sockets that receive the datagrams of one underlay address and port before UDP does: making them. What reads
// them is udp-receiver.cc, by the layout in outer.h.
#ifndef VTEPD_PACKET_SOCKET_H_
#define VTEPD_PACKET_SOCKET_H_

#include <napi.h>

namespace vtepd {

Napi::Value OpenPacketSockets(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_PACKET_SOCKET_H_
