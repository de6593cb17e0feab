#include "describe.h"

#include <cstdint>

#include "abi.h"
#include "errno.h"
#include "frame-kind.h"
#include "frame.h"

namespace vtepd {

void DescribeFrame(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    return ThrowType(env, "describeFrame: bytes: expected a Uint8Array");
  }
  if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_int32_array ||
      info[1].As<Napi::TypedArray>().ElementLength() < static_cast<size_t>(abi::FRAME_WORDS)) {
    return ThrowType(env, "describeFrame: frame: expected an Int32Array of a descriptor's length");
  }
  if (!info[2].IsBoolean() || !info[3].IsBoolean()) {
    return ThrowType(env, "describeFrame: isPacket, isFromOverlay: expected booleans");
  }
  const Napi::Uint8Array bytes = info[0].As<Napi::Uint8Array>();
  if (bytes.ElementLength() > static_cast<size_t>(abi::SLOT_BYTES)) {
    return ThrowType(env, "describeFrame: bytes: expected no more than a slot holds");
  }
  abi::Frame& frame = *reinterpret_cast<abi::Frame*>(info[1].As<Napi::Int32Array>().Data());
  const FrameKind kind = info[2].As<Napi::Boolean>().Value() ? FrameKind::kIpPacket : FrameKind::kEthernet;
  const int32_t length = static_cast<int32_t>(bytes.ElementLength());
  if (info[3].As<Napi::Boolean>().Value()) {
    DescribeWithHash(bytes.Data(), length, kind, frame);
  } else {
    DescribeWithChecksum(bytes.Data(), length, kind, frame);
  }
}

}  // namespace vtepd
