#include "options.h"

#include <cmath>
#include <utility>

#include "errno.h"

namespace vtepd {

namespace {

bool IsIntegerWithin(double value, int64_t minimum, int64_t maximum) {
  return value >= static_cast<double>(minimum) && value <= static_cast<double>(maximum) && std::trunc(value) == value;
}

std::string Range(int64_t minimum, int64_t maximum) {
  return "an integer from " + std::to_string(minimum) + " to " + std::to_string(maximum);
}

}  // namespace

Options::Options(const Napi::CallbackInfo& info, std::string function)
    : env_(info.Env()), function_(std::move(function)) {
  if (info[0].IsObject()) {
    object_ = info[0].As<Napi::Object>();
    return;
  }
  ThrowType(env_, function_ + ": expected an options object");
  failed_ = true;
}

void Options::Refuse(const char* key, const std::string& expected) {
  if (failed_) return;
  ThrowType(env_, function_ + ": " + key + ": expected " + expected);
  failed_ = true;
}

std::optional<Napi::Value> Options::Find(const char* key) {
  if (failed_) return std::nullopt;
  const Napi::MaybeOrValue<Napi::Value> value = object_.Get(key);
  if (env_.IsExceptionPending()) {
    failed_ = true;  // A getter threw; its exception is the answer.
    return std::nullopt;
  }
  if (value.IsUndefined()) return std::nullopt;
  return value;
}

bool Options::Boolean(const char* key, bool fallback) {
  const std::optional<Napi::Value> value = Find(key);
  if (!value) return fallback;
  if (!value->IsBoolean()) {
    Refuse(key, "a boolean");
    return fallback;
  }
  return value->As<Napi::Boolean>().Value();
}

bool Options::RequiredBoolean(const char* key) {
  const std::optional<Napi::Value> value = Find(key);
  if (value && value->IsBoolean()) return value->As<Napi::Boolean>().Value();
  Refuse(key, "a boolean");
  return false;
}

std::optional<int64_t> Options::Integer(const char* key, int64_t minimum, int64_t maximum) {
  const std::optional<Napi::Value> value = Find(key);
  if (!value) return std::nullopt;
  if (value->IsNumber()) {
    const double number = value->As<Napi::Number>().DoubleValue();
    if (IsIntegerWithin(number, minimum, maximum)) return static_cast<int64_t>(number);
  }
  Refuse(key, Range(minimum, maximum));
  return std::nullopt;
}

int64_t Options::RequiredInteger(const char* key, int64_t minimum, int64_t maximum) {
  const std::optional<int64_t> value = Integer(key, minimum, maximum);
  if (!value) Refuse(key, Range(minimum, maximum));
  return value.value_or(minimum);
}

std::optional<std::string> Options::Text(const char* key, size_t maximum) {
  const std::optional<Napi::Value> value = Find(key);
  if (!value) return std::nullopt;
  if (value->IsString()) {
    std::string text = value->As<Napi::String>().Utf8Value();
    if (!text.empty() && text.size() <= maximum && text.find('\0') == std::string::npos) return text;
  }
  Refuse(key, "a string of 1 to " + std::to_string(maximum) + " bytes");
  return std::nullopt;
}

std::string Options::RequiredText(const char* key, size_t maximum) {
  std::optional<std::string> value = Text(key, maximum);
  if (!value) Refuse(key, "a string of 1 to " + std::to_string(maximum) + " bytes");
  return std::move(value).value_or("");
}

std::optional<std::vector<uint8_t>> Options::Bytes(const char* key) {
  const std::optional<Napi::Value> value = Find(key);
  if (!value) return std::nullopt;
  // The raw call: node-addon-api's TypedArray would look at the buffer, which fails over a SharedArrayBuffer.
  bool is_typed_array = false;
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  if (napi_is_typedarray(env_, *value, &is_typed_array) == napi_ok && is_typed_array &&
      napi_get_typedarray_info(env_, *value, &type, &length, &data, nullptr, nullptr) == napi_ok &&
      type == napi_uint8_array) {
    const uint8_t* bytes = static_cast<const uint8_t*>(data);
    return std::vector<uint8_t>(bytes, bytes + length);
  }
  Refuse(key, "a Uint8Array");
  return std::nullopt;
}

std::optional<int32_t> IntegerArgument(const Napi::CallbackInfo& info, size_t index, const char* name, int32_t minimum,
                                       int32_t maximum) {
  if (info[index].IsNumber()) {
    const double number = info[index].As<Napi::Number>().DoubleValue();
    if (IsIntegerWithin(number, minimum, maximum)) return static_cast<int32_t>(number);
  }
  ThrowType(info.Env(), std::string(name) + ": expected " + Range(minimum, maximum));
  return std::nullopt;
}

}  // namespace vtepd
