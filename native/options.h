// Reads the options object of a set-up call and says precisely what is wrong with it.
#ifndef VTEPD_OPTIONS_H_
#define VTEPD_OPTIONS_H_

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vtepd {

// Each reader throws a TypeError on the first wrong value and does nothing after that; the caller looks at Failed()
// once, at the end, before it uses any of the values. An `undefined` value counts as absent.
class Options {
 public:
  // `function` is the name in messages.
  Options(const Napi::CallbackInfo& info, std::string function);

  bool Failed() const { return failed_; }
  Napi::Env Env() const { return env_; }

  bool Boolean(const char* key, bool fallback);
  bool RequiredBoolean(const char* key);
  std::optional<int64_t> Integer(const char* key, int64_t minimum, int64_t maximum);
  int64_t RequiredInteger(const char* key, int64_t minimum, int64_t maximum);
  // Without NUL bytes, 1..maximum bytes of UTF-8.
  std::optional<std::string> Text(const char* key, size_t maximum);
  std::string RequiredText(const char* key, size_t maximum);
  // A copy of a Uint8Array.
  std::optional<std::vector<uint8_t>> Bytes(const char* key);
  void Refuse(const char* key, const std::string& expected);

 private:
  std::optional<Napi::Value> Find(const char* key);

  Napi::Env env_;
  Napi::Object object_;
  std::string function_;
  bool failed_ = false;
};

// The integer argument `index` of a call, or nothing after a TypeError was thrown.
std::optional<int32_t> IntegerArgument(const Napi::CallbackInfo& info, size_t index, const char* name, int32_t minimum,
                                       int32_t maximum);

}  // namespace vtepd

#endif  // VTEPD_OPTIONS_H_
