#include "errno.h"

#include <cerrno>
#include <system_error>
#include <utility>

namespace vtepd {

// strerrorname_np() would do, but musl and glibc before 2.32 lack it. The calls made here return these.
#define NAME(code) \
  case code:       \
    return #code
std::string ErrorName(int number) {
  switch (number) {
    NAME(EPERM);
    NAME(ENOENT);
    NAME(EINTR);
    NAME(EIO);
    NAME(ENXIO);
    NAME(EBADF);
    NAME(EAGAIN);
    NAME(ENOMEM);
    NAME(EACCES);
    NAME(EFAULT);
    NAME(EBUSY);
    NAME(EEXIST);
    NAME(ENODEV);
    NAME(ENOTDIR);
    NAME(EISDIR);
    NAME(EINVAL);
    NAME(ENFILE);
    NAME(EMFILE);
    NAME(ENOTTY);
    NAME(ENOSPC);
    NAME(ERANGE);
    NAME(ENAMETOOLONG);
    NAME(ENOSYS);
    NAME(ELOOP);
    NAME(EPROTO);
    NAME(EOVERFLOW);
    NAME(EBADFD);
    NAME(EUSERS);
    NAME(ENOTSOCK);
    NAME(EDESTADDRREQ);
    NAME(EMSGSIZE);
    NAME(EPROTOTYPE);
    NAME(ENOPROTOOPT);
    NAME(EPROTONOSUPPORT);
    NAME(EOPNOTSUPP);
    NAME(EAFNOSUPPORT);
    NAME(EADDRINUSE);
    NAME(EADDRNOTAVAIL);
    NAME(ENETDOWN);
    NAME(ENETUNREACH);
    NAME(ENOBUFS);
    NAME(EISCONN);
    NAME(ENOTCONN);
    NAME(ETIMEDOUT);
    NAME(ECONNREFUSED);
    NAME(EHOSTDOWN);
    NAME(EHOSTUNREACH);
    NAME(E2BIG);
    NAME(ENOTUNIQ);
  }
  return "errno " + std::to_string(number);
}
#undef NAME

SystemError LastError(std::string syscall, std::string subject) {
  const int number = errno;
  return SystemError{number, std::move(syscall), std::move(subject)};
}

void Throw(Napi::Env env, const SystemError& error) {
  const std::string code = ErrorName(error.number);
  std::string message = error.syscall;
  if (!error.subject.empty()) message += " " + error.subject;
  message += ": " + code + " " + std::generic_category().message(error.number);
  Napi::Error thrown = Napi::Error::New(env, message);
  Napi::Object object = thrown.Value();
  object.Set("code", code);
  object.Set("errno", Napi::Number::New(env, error.number));
  object.Set("syscall", error.syscall);
  thrown.ThrowAsJavaScriptException();
}

void ThrowType(Napi::Env env, const std::string& message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
}

}  // namespace vtepd
