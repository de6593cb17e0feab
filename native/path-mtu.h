// How large a packet to a destination may be, as the kernel's routing knows it.
#ifndef VTEPD_PATH_MTU_H_
#define VTEPD_PATH_MTU_H_

#include <napi.h>

namespace vtepd {

// addon.pathMtu, see src/binding/addon.ts.
Napi::Value PathMtu(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_PATH_MTU_H_
