// The constants of abi.h by name, for JavaScript: test/native/abi.test.ts compares them with src/binding/abi.ts.
#ifndef VTEPD_ABI_OBJECT_H_
#define VTEPD_ABI_OBJECT_H_

#include <napi.h>

namespace vtepd::abi {

Napi::Object MakeAbiObject(Napi::Env env);

}  // namespace vtepd::abi

#endif  // VTEPD_ABI_OBJECT_H_
