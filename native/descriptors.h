// Closing descriptors.
#ifndef VTEPD_DESCRIPTORS_H_
#define VTEPD_DESCRIPTORS_H_

#include <napi.h>

#include <cstddef>
#include <cstdint>

namespace vtepd {

// closeFd(fd): void; throws what close() says.
void CloseFd(const Napi::CallbackInfo& info);

// Closes all of them side by side and returns when they are closed. Those of TAPs wait for all CPUs while the device is
// removed (rcu_barrier), and who waits at one time shares that. Errors of close() are not told.
void CloseAll(const int32_t* fds, size_t count);

}  // namespace vtepd

#endif  // VTEPD_DESCRIPTORS_H_
