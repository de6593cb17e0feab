#include "tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "abi.h"
#include "errno.h"
#include "fd.h"
#include "link-move.h"
#include "netns.h"
#include "options.h"
#include "qdisc.h"

// Linux 6.2 and 5.11; the headers of a build host may be older than the kernel below it.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef TUN_F_UDP_TUNNEL_GSO  // Linux 6.17.
#define TUN_F_UDP_TUNNEL_GSO 0x80
#define TUN_F_UDP_TUNNEL_GSO_CSUM 0x100
#endif
#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227)
#endif

namespace vtepd {

namespace {

constexpr char TUN_DEVICE[] = "/dev/net/tun";
// What a device is called in this namespace while on its way to another one; the kernel fills in a number.
constexpr char PASSING_NAME[] = "vtepd%d";
constexpr int64_t MAX_QUEUES = 256;  // MAX_TAP_QUEUES in drivers/net/tun.c.

struct TapOptions {
  std::string name;
  bool is_tap = true;
  int queues = 1;
  bool vnet_header = true;
  TapOffload offload = TapOffload::kNone;
  std::optional<std::vector<uint8_t>> mac_address;
  std::optional<int64_t> mtu;
  std::optional<int64_t> tx_queue_length;
  bool up = false;
  // The device is there, of a daemon before us, and is left as it is.
  bool attach = false;
  std::string netns;
};

struct OpenedTap {
  std::vector<Fd> queues;
  int ifindex = 0;
};

// A device as ioctls of any socket see it: the socket only chooses the network namespace.
class Device {
 public:
  // `subject` is its name in errors.
  Device(std::string name, std::string subject) : name_(std::move(name)), subject_(std::move(subject)) {}

  SystemError Open() {
    control_ = Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return control_.IsOpen() ? SystemError{} : LastError("socket", subject_);
  }

  // A request with this device's name in it and the rest zero.
  ifreq Request() const {
    ifreq request{};
    memcpy(request.ifr_name, name_.c_str(), name_.size());
    return request;
  }

  SystemError Call(unsigned long command, const char* command_name, ifreq& request) const {
    if (ioctl(control_.Get(), command, &request) == 0) return {};
    return LastError(std::string("ioctl(") + command_name + ")", subject_);
  }

  SystemError SetMacAddress(const std::vector<uint8_t>& mac_address) const {
    ifreq request = Request();
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(request.ifr_hwaddr.sa_data, mac_address.data(), 6);
    return Call(SIOCSIFHWADDR, "SIOCSIFHWADDR", request);
  }

  SystemError SetMtu(int mtu) const {
    ifreq request = Request();
    request.ifr_mtu = mtu;
    return Call(SIOCSIFMTU, "SIOCSIFMTU", request);
  }

  SystemError SetTxQueueLength(int frames) const {
    ifreq request = Request();
    request.ifr_qlen = frames;
    return Call(SIOCSIFTXQLEN, "SIOCSIFTXQLEN", request);
  }

  SystemError SetUp() const {
    ifreq request = Request();
    if (SystemError error = Call(SIOCGIFFLAGS, "SIOCGIFFLAGS", request)) return error;
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    return Call(SIOCSIFFLAGS, "SIOCSIFFLAGS", request);
  }

  SystemError GetIfindex(int& ifindex) const {
    ifreq request = Request();
    SystemError error = Call(SIOCGIFINDEX, "SIOCGIFINDEX", request);
    ifindex = request.ifr_ifindex;
    return error;
  }

 private:
  std::string name_;
  std::string subject_;
  Fd control_;
};

// `name` may be a pattern on the way in and is the device's name on the way out.
SystemError OpenQueue(const TapOptions& options, bool is_first, std::string& name, Fd& queue) {
  queue = Fd(open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!queue.IsOpen()) return LastError(std::string("open(") + TUN_DEVICE + ")", options.name);
  int flags = (options.is_tap ? IFF_TAP : IFF_TUN) | IFF_NO_PI;
  if (options.vnet_header) flags |= IFF_VNET_HDR;
  if (options.queues > 1) flags |= IFF_MULTI_QUEUE;
  // Without it, an existing device of that name would be shared with whoever made it.
  if (is_first && !options.attach) flags |= IFF_TUN_EXCL;
  ifreq request{};
  memcpy(request.ifr_name, name.c_str(), name.size());
  request.ifr_flags = static_cast<short>(flags);
  if (ioctl(queue.Get(), TUNSETIFF, &request) != 0) return LastError("ioctl(TUNSETIFF)", options.name);
  name.assign(request.ifr_name, strnlen(request.ifr_name, IFNAMSIZ));
  return {};
}

SystemError SetVnetHeader(int fd, const TapOptions& options) {
  const int size = VnetHeaderBytes(options.offload);
  if (ioctl(fd, TUNSETVNETHDRSZ, &size) != 0) return LastError("ioctl(TUNSETVNETHDRSZ)", options.name);
  if (ioctl(fd, TUNSETOFFLOAD, OffloadBits(options.offload)) != 0)
    return LastError("ioctl(TUNSETOFFLOAD)", options.name);
  return {};
}

// Makes the device in the present namespace, down.
SystemError MakeDown(const TapOptions& options, std::string& name, OpenedTap& tap) {
  tap.queues.resize(static_cast<size_t>(options.queues));
  for (size_t i = 0; i < tap.queues.size(); i++) {
    if (SystemError error = OpenQueue(options, i == 0, name, tap.queues[i])) return error;
  }
  if (options.vnet_header) {
    if (SystemError error = SetVnetHeader(tap.queues[0].Get(), options)) return error;
  }
  Device device(name, options.name);
  if (SystemError error = device.Open()) return error;
  if (options.attach) return device.GetIfindex(tap.ifindex);
  if (options.mac_address) {
    if (SystemError error = device.SetMacAddress(*options.mac_address)) return error;
  }
  if (options.mtu) {
    if (SystemError error = device.SetMtu(static_cast<int>(*options.mtu))) return error;
  }
  if (options.tx_queue_length) {
    if (SystemError error = device.SetTxQueueLength(static_cast<int>(*options.tx_queue_length))) return error;
  }
  return device.GetIfindex(tap.ifindex);
}

// What is left to do where the device will stay.
SystemError Finish(const TapOptions& options, OpenedTap& tap) {
  Device device(options.name, options.name);
  if (SystemError error = device.Open()) return error;
  if (SystemError error = device.GetIfindex(tap.ifindex)) return error;
  // Only memory depends on it, and a kernel without traffic control has none to remove.
  RemoveQdisc(tap.ifindex, options.name);
  return options.up ? device.SetUp() : SystemError{};
}

// A device for another namespace is made here and moved there. Made there, its descriptors would keep that namespace
// alive after its owner deleted it, and nobody would learn that the device is of no use any more. On failure all
// descriptors close, and the device vanishes with the last of them, wherever it is by then.
SystemError MakeTap(const TapOptions& options, OpenedTap& tap) {
  Fd netns;
  bool is_here = true;
  if (!options.netns.empty()) {
    if (SystemError error = OpenNetns(options.netns, netns)) return error;
    if (SystemError error = ComparePresentNetns(netns.Get(), options.netns, is_here)) return error;
  }
  std::string name = is_here ? options.name : PASSING_NAME;
  if (SystemError error = MakeDown(options, name, tap)) return error;
  if (options.attach) return {};
  if (is_here) return Finish(options, tap);
  if (SystemError error = MoveLink(tap.ifindex, netns.Get(), options.name)) return error;
  NetnsVisit visit;
  if (SystemError error = visit.Enter(netns.Get(), options.netns)) return error;
  return Finish(options, tap);
}

struct DeviceState {
  std::string name;
  int ifindex = 0;
  int mtu = 0;
  bool up = false;
  uint8_t mac_address[6] = {};
  uint64_t netns_inode = 0;
};

// Goes to the namespace of the device behind a descriptor, and says its name there.
SystemError VisitDevice(int fd, NetnsVisit& visit, std::string& name) {
  ifreq request{};
  if (ioctl(fd, TUNGETIFF, &request) != 0) return LastError("ioctl(TUNGETIFF)", std::to_string(fd));
  name.assign(request.ifr_name, strnlen(request.ifr_name, IFNAMSIZ));
  // Not known before Linux 5.11, and refused without CAP_NET_ADMIN there: then the own namespace is the best guess.
  const Fd netns(ioctl(fd, TUNGETDEVNETNS));
  return netns.IsOpen() ? visit.Enter(netns.Get(), name) : SystemError{};
}

SystemError WriteMtu(int fd, int mtu) {
  NetnsVisit visit;
  std::string name;
  if (SystemError error = VisitDevice(fd, visit, name)) return error;
  Device device(name, name);
  if (SystemError error = device.Open()) return error;
  ifreq request = device.Request();
  request.ifr_mtu = mtu;
  return device.Call(SIOCSIFMTU, "SIOCSIFMTU", request);
}

SystemError ReadState(int fd, DeviceState& state) {
  NetnsVisit visit;
  if (SystemError error = VisitDevice(fd, visit, state.name)) return error;
  if (SystemError error = PresentNetnsInode(state.netns_inode)) return error;
  Device device(state.name, state.name);
  if (SystemError error = device.Open()) return error;
  if (SystemError error = device.GetIfindex(state.ifindex)) return error;
  ifreq request = device.Request();
  if (SystemError error = device.Call(SIOCGIFMTU, "SIOCGIFMTU", request)) return error;
  state.mtu = request.ifr_mtu;
  request = device.Request();
  if (SystemError error = device.Call(SIOCGIFFLAGS, "SIOCGIFFLAGS", request)) return error;
  state.up = (request.ifr_flags & IFF_UP) != 0;
  request = device.Request();
  if (SystemError error = device.Call(SIOCGIFHWADDR, "SIOCGIFHWADDR", request)) return error;
  // A TUN device has no address: its family is ARPHRD_NONE, and the bytes are zero.
  memcpy(state.mac_address, request.ifr_hwaddr.sa_data, sizeof(state.mac_address));
  return {};
}

bool ReadOptions(const Napi::CallbackInfo& info, TapOptions& tap) {
  Options options(info, "openTap");
  tap.name = options.RequiredText("name", IFNAMSIZ - 1);
  // The kernel would take "%d" for a pattern and choose another name.
  if (tap.name.find('%') != std::string::npos) options.Refuse("name", "a name without %");
  const std::string kind = options.RequiredText("kind", 3);
  tap.is_tap = kind == "tap";
  if (kind != "tap" && kind != "tun") options.Refuse("kind", "\"tap\" or \"tun\"");
  tap.queues = static_cast<int>(options.RequiredInteger("queues", 1, MAX_QUEUES));
  tap.vnet_header = options.RequiredBoolean("vnetHeader");
  const std::string offload = options.Text("offload", 8).value_or("none");
  const std::optional<TapOffload> level = ReadOffload(offload);
  if (!level || (*level != TapOffload::kNone && !tap.vnet_header)) {
    options.Refuse("offload", "\"none\", or with a vnet header \"checksum\", \"tso\", \"uso\" or \"tunnel\"");
  }
  tap.offload = level.value_or(TapOffload::kNone);
  tap.mac_address = options.Bytes("macAddress");
  if (tap.mac_address && (!tap.is_tap || tap.mac_address->size() != 6)) {
    options.Refuse("macAddress", "6 bytes, on a TAP device only");
  }
  tap.mtu = options.Integer("mtu", 1, INT32_MAX);
  tap.tx_queue_length = options.Integer("txQueueLength", 0, INT32_MAX);
  tap.up = options.RequiredBoolean("up");
  tap.attach = options.Boolean("attach", false);
  tap.netns = options.Text("netns", 4095).value_or("");
  return !options.Failed();
}

}  // namespace

std::optional<TapOffload> ReadOffload(const std::string& text) {
  if (text == "none") return TapOffload::kNone;
  if (text == "checksum") return TapOffload::kChecksum;
  if (text == "tso") return TapOffload::kTso;
  if (text == "uso") return TapOffload::kUso;
  if (text == "tunnel") return TapOffload::kTunnel;
  return std::nullopt;
}

unsigned long OffloadBits(TapOffload level) {
  unsigned long bits = 0;
  if (level >= TapOffload::kChecksum) bits |= TUN_F_CSUM;
  // With ECN, superframes may have CWR set, which belongs to the first segment only.
  if (level >= TapOffload::kTso) bits |= TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  // The kernel takes both or none.
  if (level >= TapOffload::kUso) bits |= TUN_F_USO4 | TUN_F_USO6;
  if (level >= TapOffload::kTunnel) bits |= TUN_F_UDP_TUNNEL_GSO | TUN_F_UDP_TUNNEL_GSO_CSUM;
  return bits;
}

int VnetHeaderBytes(TapOffload level) {
  return level == TapOffload::kTunnel ? abi::TUNNEL_VNET_HEADER_BYTES : abi::VNET_HEADER_BYTES;
}

Napi::Value OpenTap(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  TapOptions options;
  if (!ReadOptions(info, options)) return env.Undefined();
  OpenedTap tap;
  if (const SystemError error = MakeTap(options, tap)) {
    Throw(env, error);
    return env.Undefined();
  }
  const Napi::Array fds = Napi::Array::New(env, tap.queues.size());
  for (uint32_t i = 0; i < tap.queues.size(); i++) fds.Set(i, Napi::Number::New(env, tap.queues[i].Release()));
  Napi::Object result = Napi::Object::New(env);
  result.Set("fds", fds);
  result.Set("ifindex", Napi::Number::New(env, tap.ifindex));
  return result;
}

Napi::Value TapInfo(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::optional<int32_t> fd = IntegerArgument(info, 0, "tapInfo: fd", 0, INT32_MAX);
  if (!fd) return env.Undefined();
  DeviceState state;
  SystemError error = ReadState(*fd, state);
  // The device was renamed or moved between two of the calls; a second look tells that from one that is gone.
  if (error.number == ENODEV) error = ReadState(*fd, state);
  if (error) {
    Throw(env, error);
    return env.Undefined();
  }
  Napi::Uint8Array mac_address = Napi::Uint8Array::New(env, sizeof(state.mac_address));
  memcpy(mac_address.Data(), state.mac_address, sizeof(state.mac_address));
  Napi::Object result = Napi::Object::New(env);
  result.Set("name", state.name);
  result.Set("ifindex", Napi::Number::New(env, state.ifindex));
  result.Set("mtu", Napi::Number::New(env, state.mtu));
  result.Set("up", Napi::Boolean::New(env, state.up));
  result.Set("macAddress", mac_address);
  result.Set("netnsInode", Napi::Number::New(env, static_cast<double>(state.netns_inode)));
  return result;
}

void SetTapMtu(const Napi::CallbackInfo& info) {
  const std::optional<int32_t> fd = IntegerArgument(info, 0, "setTapMtu: fd", 0, INT32_MAX);
  if (!fd) return;
  const std::optional<int32_t> mtu = IntegerArgument(info, 1, "setTapMtu: mtu", 1, INT32_MAX);
  if (!mtu) return;
  if (const SystemError error = WriteMtu(*fd, *mtu)) Throw(info.Env(), error);
}

}  // namespace vtepd
