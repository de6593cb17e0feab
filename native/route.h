// The way that the kernel's routing tables give a packet.
#ifndef VTEPD_ROUTE_H_
#define VTEPD_ROUTE_H_

#include <napi.h>

namespace vtepd {

Napi::Value RouteInterface(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_ROUTE_H_
