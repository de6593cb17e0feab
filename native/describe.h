// What a frame's descriptor says of its headers, without a port that it came from: for traces.
#ifndef VTEPD_DESCRIBE_H_
#define VTEPD_DESCRIBE_H_

#include <napi.h>

namespace vtepd {

// addon.describeFrame, see src/binding/addon.ts.
void DescribeFrame(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_DESCRIBE_H_
