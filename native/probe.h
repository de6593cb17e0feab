// What this kernel can do, found by doing it once: an answer from a version number would be wrong on distribution
// kernels that have features, and bugs, ported back.
#ifndef VTEPD_PROBE_H_
#define VTEPD_PROBE_H_

#include <napi.h>

namespace vtepd {

Napi::Value ProbeUdp(const Napi::CallbackInfo& info);
Napi::Value ProbeTap(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_PROBE_H_
