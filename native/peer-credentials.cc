#include "peer-credentials.h"

#include <sys/socket.h>

#include <optional>
#include <string>

#include "errno.h"
#include "options.h"

namespace vtepd {

Napi::Value PeerCredentials(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::optional<int32_t> fd = IntegerArgument(info, 0, "peerCredentials: fd", 0, INT32_MAX);
  if (!fd) return env.Undefined();
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(*fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    Throw(env, LastError("getsockopt(SO_PEERCRED)", std::to_string(*fd)));
    return env.Undefined();
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("pid", Napi::Number::New(env, peer.pid));
  result.Set("uid", Napi::Number::New(env, peer.uid));
  result.Set("gid", Napi::Number::New(env, peer.gid));
  return result;
}

}  // namespace vtepd
