// The one shape of a failed set-up call: {code, errno, syscall} on the JavaScript side.
#ifndef VTEPD_ERRNO_H_
#define VTEPD_ERRNO_H_

#include <napi.h>

#include <string>

namespace vtepd {

// What went wrong inside a set-up call, before it becomes a JavaScript error; `number` 0 means that nothing did.
struct SystemError {
  int number = 0;
  std::string syscall;  // e.g. "ioctl(TUNSETIFF)"
  std::string subject;  // What it was applied to, e.g. a device name; may be empty.

  explicit operator bool() const { return number != 0; }
};

// The name of an errno, e.g. "EBUSY".
std::string ErrorName(int number);

// The present errno as a SystemError. Call it before anything else can change errno.
SystemError LastError(std::string syscall, std::string subject = "");

// Throws an Error whose message reads `<syscall> <subject>: <code> <text>`, e.g.
// `ioctl(TUNSETIFF) vx42: EBUSY Device or resource busy`.
void Throw(Napi::Env env, const SystemError& error);

// Throws a TypeError: the caller's arguments are wrong, no system call was made.
void ThrowType(Napi::Env env, const std::string& message);

}  // namespace vtepd

#endif  // VTEPD_ERRNO_H_
