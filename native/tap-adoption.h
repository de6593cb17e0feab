// TAP and TUN devices that outlive the process that made them.
#ifndef VTEPD_TAP_ADOPTION_H_
#define VTEPD_TAP_ADOPTION_H_

#include <napi.h>

namespace vtepd {

// adoptTap({fd, vnetHeader, offload}): {kind, vnetHeader}. Makes a descriptor that this process has inherited its own:
// closed in children, never waited on, with our vnet header and offload where the device has one.
Napi::Value AdoptTap(const Napi::CallbackInfo& info);

// setTapPersistent(fd, on: 0 | 1): void. TUNSETPERSIST.
void SetTapPersistent(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_TAP_ADOPTION_H_
