// Registration and nothing else. The addon has no state outside its objects, so every thread may load it.
#include <napi.h>

#include "abi-object.h"
#include "describe.h"
#include "descriptors.h"
#include "event.h"
#include "io.h"
#include "notification.h"
#include "packet-socket.h"
#include "path-mtu.h"
#include "peer-credentials.h"
#include "probe.h"
#include "raw.h"
#include "route.h"
#include "tap-adoption.h"
#include "tap-removal.h"
#include "tap.h"
#include "thread.h"
#include "tunnel-program.h"
#include "udp.h"

using namespace vtepd;

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("abi", abi::MakeAbiObject(env));
  exports.Set("describeFrame", Napi::Function::New<DescribeFrame>(env, "describeFrame"));
  exports.Set("openTap", Napi::Function::New<OpenTap>(env, "openTap"));
  exports.Set("removeTaps", Napi::Function::New<RemoveTaps>(env, "removeTaps"));
  exports.Set("tapInfo", Napi::Function::New<TapInfo>(env, "tapInfo"));
  exports.Set("adoptTap", Napi::Function::New<AdoptTap>(env, "adoptTap"));
  exports.Set("setTapPersistent", Napi::Function::New<SetTapPersistent>(env, "setTapPersistent"));
  exports.Set("setTapMtu", Napi::Function::New<SetTapMtu>(env, "setTapMtu"));
  exports.Set("openUdp", Napi::Function::New<OpenUdp>(env, "openUdp"));
  exports.Set("openRaw", Napi::Function::New<OpenRaw>(env, "openRaw"));
  exports.Set("openPacketSockets", Napi::Function::New<OpenPacketSockets>(env, "openPacketSockets"));
  exports.Set("attachTunnelProgram", Napi::Function::New<AttachTunnelProgram>(env, "attachTunnelProgram"));
  exports.Set("pathMtu", Napi::Function::New<PathMtu>(env, "pathMtu"));
  exports.Set("routeInterface", Napi::Function::New<RouteInterface>(env, "routeInterface"));
  exports.Set("rejoinGroup", Napi::Function::New<RejoinGroup>(env, "rejoinGroup"));
  exports.Set("udpPort", Napi::Function::New<UdpPort>(env, "udpPort"));
  exports.Set("openEvent", Napi::Function::New<OpenEvent>(env, "openEvent"));
  exports.Set("signalEvent", Napi::Function::New<SignalEvent>(env, "signalEvent"));
  exports.Set("sendNotification", Napi::Function::New<SendNotification>(env, "sendNotification"));
  exports.Set("peerCredentials", Napi::Function::New<PeerCredentials>(env, "peerCredentials"));
  exports.Set("closeFd", Napi::Function::New<CloseFd>(env, "closeFd"));
  exports.Set("probeUdp", Napi::Function::New<ProbeUdp>(env, "probeUdp"));
  exports.Set("probeTap", Napi::Function::New<ProbeTap>(env, "probeTap"));
  exports.Set("probeTunnelProgram", Napi::Function::New<ProbeTunnelProgram>(env, "probeTunnelProgram"));
  exports.Set("pinThread", Napi::Function::New<PinThread>(env, "pinThread"));
  exports.Set("Io", Io::DefineIn(env));
  return exports;
}

NODE_API_MODULE(vtepd, Init)
