// UDP sockets of the underlay: making them. What moves datagrams is in udp-receiver and udp-sender.
#ifndef VTEPD_UDP_H_
#define VTEPD_UDP_H_

#include <napi.h>

namespace vtepd {

Napi::Value OpenUdp(const Napi::CallbackInfo& info);
void RejoinGroup(const Napi::CallbackInfo& info);
Napi::Value UdpPort(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_UDP_H_
