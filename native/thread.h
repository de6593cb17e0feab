// The calling thread itself.
#ifndef VTEPD_THREAD_H_
#define VTEPD_THREAD_H_

#include <napi.h>

namespace vtepd {

// (cpu): binds the calling thread to one CPU (sched_setaffinity).
void PinThread(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_THREAD_H_
