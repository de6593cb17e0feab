// TAP and TUN devices: making them, and asking what they are now. What moves frames is in tap-queue.
#ifndef VTEPD_TAP_H_
#define VTEPD_TAP_H_

#include <napi.h>

namespace vtepd {

Napi::Value OpenTap(const Napi::CallbackInfo& info);
Napi::Value TapInfo(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_TAP_H_
