#include "tap-adoption.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <optional>
#include <string>

#include "errno.h"
#include "options.h"
#include "tap.h"

namespace vtepd {

namespace {

struct Adoption {
  int fd = 0;
  bool wants_vnet_header = false;
  TapOffload offload = TapOffload::kNone;
};

// `flags` are the device's IFF_*.
SystemError Adopt(const Adoption& adoption, int& flags) {
  const int fd = adoption.fd;
  const std::string name = std::to_string(fd);
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return LastError("fcntl(F_SETFD)", name);
  if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0) return LastError("fcntl(F_SETFL)", name);
  ifreq request{};
  if (ioctl(fd, TUNGETIFF, &request) != 0) return LastError("ioctl(TUNGETIFF)", name);
  flags = request.ifr_flags;
  if ((flags & IFF_VNET_HDR) == 0 || !adoption.wants_vnet_header) return {};
  const int size = VnetHeaderBytes(adoption.offload);
  if (ioctl(fd, TUNSETVNETHDRSZ, &size) != 0) return LastError("ioctl(TUNSETVNETHDRSZ)", name);
  if (ioctl(fd, TUNSETOFFLOAD, OffloadBits(adoption.offload)) != 0) return LastError("ioctl(TUNSETOFFLOAD)", name);
  return {};
}

}  // namespace

Napi::Value AdoptTap(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Options options(info, "adoptTap");
  Adoption adoption;
  adoption.fd = static_cast<int>(options.RequiredInteger("fd", 0, INT32_MAX));
  adoption.wants_vnet_header = options.RequiredBoolean("vnetHeader");
  const std::optional<TapOffload> offload = ReadOffload(options.Text("offload", 8).value_or("none"));
  if (!offload) options.Refuse("offload", "\"none\", \"checksum\", \"tso\", \"uso\" or \"tunnel\"");
  if (options.Failed()) return env.Undefined();
  adoption.offload = *offload;
  int flags = 0;
  if (const SystemError error = Adopt(adoption, flags)) {
    Throw(env, error);
    return env.Undefined();
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("kind", (flags & IFF_TAP) != 0 ? "tap" : "tun");
  result.Set("vnetHeader", Napi::Boolean::New(env, (flags & IFF_VNET_HDR) != 0));
  return result;
}

void SetTapPersistent(const Napi::CallbackInfo& info) {
  const std::optional<int32_t> fd = IntegerArgument(info, 0, "setTapPersistent: fd", 0, INT32_MAX);
  if (!fd) return;
  const std::optional<int32_t> on = IntegerArgument(info, 1, "setTapPersistent: on", 0, 1);
  if (!on) return;
  if (ioctl(*fd, TUNSETPERSIST, static_cast<unsigned long>(*on)) != 0) {
    Throw(info.Env(), LastError("ioctl(TUNSETPERSIST)", std::to_string(*fd)));
  }
}

}  // namespace vtepd
