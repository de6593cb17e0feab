// The eventfd that wakes a worker out of `Io.receive`.
#ifndef VTEPD_EVENT_H_
#define VTEPD_EVENT_H_

#include <napi.h>

namespace vtepd {

Napi::Value OpenEvent(const Napi::CallbackInfo& info);
void SignalEvent(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_EVENT_H_
