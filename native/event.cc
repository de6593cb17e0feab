#include "event.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "errno.h"
#include "options.h"

namespace vtepd {

Napi::Value OpenEvent(const Napi::CallbackInfo& info) {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) {
    Throw(info.Env(), LastError("eventfd"));
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), fd);
}

void SignalEvent(const Napi::CallbackInfo& info) {
  const std::optional<int32_t> fd = IntegerArgument(info, 0, "signalEvent: fd", 0, INT32_MAX);
  if (!fd) return;
  const uint64_t one = 1;
  ssize_t written;
  do {
    written = write(*fd, &one, sizeof(one));
  } while (written < 0 && errno == EINTR);
  // EAGAIN: the counter is at its maximum, so the event is pending already.
  if (written < 0 && errno != EAGAIN) Throw(info.Env(), LastError("write(eventfd)", std::to_string(*fd)));
}

}  // namespace vtepd
