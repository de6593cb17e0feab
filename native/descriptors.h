// Closing descriptors.
#ifndef VTEPD_DESCRIPTORS_H_
#define VTEPD_DESCRIPTORS_H_

#include <napi.h>

namespace vtepd {

// closeFd(fd): void; throws what close() says.
void CloseFd(const Napi::CallbackInfo& info);

// closeFds(fds: Int32Array): void. Closes all of them side by side and returns when they are closed. Closing the last
// descriptor of a TAP removes the device and takes tens of milliseconds of waiting for other CPUs (rcu_barrier), which
// those who wait at one time share: thousands of devices would take minutes one by one. Errors of close() are not
// told.
void CloseFds(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_DESCRIPTORS_H_
