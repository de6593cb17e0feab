// Raw sockets of the underlay: what carries packets of other IP protocols than UDP. Making them; what sends through
// them is udp-sender.cc, what receives such packets are packet sockets.
#ifndef VTEPD_RAW_H_
#define VTEPD_RAW_H_

#include <napi.h>

namespace vtepd {

// Connects a socket to its own address, so that the kernel finds nothing that it should be given. Where that cannot be
// it hears as before, which costs time only.
void Deafen(int fd);

Napi::Value OpenRaw(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_RAW_H_
