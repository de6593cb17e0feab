#include "memory.h"

#include <string>

#include "errno.h"

namespace vtepd {

namespace {

// One typed array of the memory object. `elements` is the exact number it must have, or 0 for any.
struct Array {
  const char* key;
  napi_typedarray_type type;
  size_t elements;
  void* data = nullptr;
  size_t length = 0;
};

// What the caller must give, in words.
std::string Expectation(const Array& array) {
  std::string text = "Io: " + std::string(array.key) + ": expected ";
  text += array.type == napi_uint8_array ? "a Uint8Array" : "an Int32Array";
  if (array.elements != 0) text += " of " + std::to_string(array.elements) + " elements";
  return text + " over a SharedArrayBuffer";
}

// Reads pointer and length of `value`. Raw calls, because node-addon-api's TypedArray asks for the ArrayBuffer, which
// Node 20 cannot give for shared memory; that napi_is_arraybuffer() denies it is how shared memory is told apart.
bool Resolve(napi_env env, napi_value value, Array& array) {
  bool is_typed_array = false;
  if (napi_is_typedarray(env, value, &is_typed_array) != napi_ok || !is_typed_array) return false;
  napi_typedarray_type type;
  napi_value buffer;
  if (napi_get_typedarray_info(env, value, &type, &array.length, &array.data, &buffer, nullptr) != napi_ok)
    return false;
  bool is_private = true;
  if (napi_is_arraybuffer(env, buffer, &is_private) != napi_ok || is_private) return false;
  return type == array.type && (array.elements == 0 || array.length == array.elements);
}

}  // namespace

bool Memory::Take(Napi::Env env, Napi::Value options) {
  if (!options.IsObject()) {
    ThrowType(env, "Io: expected a memory object");
    return false;
  }
  constexpr size_t frame_words = static_cast<size_t>(abi::FRAME_ROWS) * abi::FRAME_WORDS;
  constexpr size_t action_words = static_cast<size_t>(abi::MAX_ACTIONS) * abi::ACTION_WORDS;
  Array arrays[] = {
      {"arena", napi_uint8_array, abi::ARENA_BYTES},
      {"frames", napi_int32_array, frame_words},
      {"actions", napi_int32_array, action_words},
      {"status", napi_int32_array, abi::STATUS_WORDS},
      {"templates", napi_uint8_array, 0},
      {"vteps", napi_uint8_array, 0},
      {"associations", napi_int32_array, abi::ASSOCIATION_TABLE_WORDS},
  };
  // A private array of the values keeps all of them alive, whatever becomes of the caller's object.
  const Napi::Array values = Napi::Array::New(env);
  uint32_t count = 0;
  for (Array& array : arrays) {
    const Napi::Value value = options.As<Napi::Object>().Get(array.key);
    if (env.IsExceptionPending()) return false;
    if (&array == &arrays[6] && value.IsUndefined()) continue;  // Without ESP.
    if (!Resolve(env, value, array) || array.length > INT32_MAX) {
      ThrowType(env, Expectation(array));
      return false;
    }
    values.Set(count++, value);
  }
  arena_ = static_cast<uint8_t*>(arrays[0].data);
  frames_ = static_cast<abi::Frame*>(arrays[1].data);
  actions_ = static_cast<abi::Action*>(arrays[2].data);
  status_ = static_cast<int32_t*>(arrays[3].data);
  templates_ = static_cast<uint8_t*>(arrays[4].data);
  template_bytes_ = static_cast<uint32_t>(arrays[4].length);
  vteps_ = static_cast<uint8_t*>(arrays[5].data);
  vtep_count_ = static_cast<uint32_t>(arrays[5].length) / abi::VTEP_ADDRESS_BYTES;
  associations_ = static_cast<int32_t*>(arrays[6].data);
  if (reinterpret_cast<uintptr_t>(vteps_) % alignof(sockaddr_in6) != 0) {
    ThrowType(env, "Io: vteps: expected a byte offset that is a multiple of 4");
    return false;
  }
  arrays_ = Napi::Persistent(values.As<Napi::Object>());
  return true;
}

}  // namespace vtepd
