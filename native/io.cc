// How it works
//
// An Io holds an epoll set (level-triggered) over TAP queues, UDP sockets and one eventfd, and six blocks of memory
// that JavaScript shares with it (memory.h). `receive` turns readable ports into one batch: frames lie in arena slots
// (those of TAPs apart from those of sockets), a merged frame in several pieces of one (parts.h), and frame i is
// described by descriptor i. `send` carries out the actions that JavaScript wrote about that batch. Nothing is kept
// between the two: a frame lives until the next `receive`.
//
// Turns. A port that fills the batch, or the slots of its kind, is left at that, and the events behind it stay in
// events_ for the next call, which serves them before it asks epoll again. A port that has more to give is reported by
// that next epoll_wait, behind the others. So no port gets two batches while another waits.
//
// Invariants
// - An event in events_ names a port by id; `remove` erases its events, so that a new port of the same id is not served
//   by the old one's.
// - A port that is gone is neither polled nor read nor written. Its id is in gone_ until `takeGone` or `remove`.
// - At most one epoll_wait per `receive`, none after something the caller must hear of: a call that has only taken a
//   wake-up or lost a device returns 0.
// - Every index that JavaScript writes is checked before use; a wrong one is EINVAL on that action.
// - `receive` and `send` allocate nothing and throw only for arguments that are not numbers.
//
// Limits: MAX_PORTS ports, BATCH_FRAMES frames, MAX_ACTIONS actions.
//
// Threads: an Io belongs to the thread that made it; different Ios share nothing. Only the eventfd may be touched by
// others (`signalEvent`), and it is the only way out of a `receive` without timeout, worker.terminate() included.
#include "io.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "errno.h"
#include "options.h"
#include "tap-queue.h"
#include "uplink.h"

namespace vtepd {

namespace {

// Ids of ports are below MAX_PORTS; these stand for something else in an epoll event.
constexpr uint32_t WAKE_UP = UINT32_MAX;
constexpr uint32_t ERASED = UINT32_MAX - 1;

constexpr int32_t MAX_FEATURES =
    abi::FEATURE_VNET_HEADER | abi::FEATURE_SEGMENT | abi::FEATURE_MERGE_TCP | abi::FEATURE_MERGE_UDP;

timespec CoarseTime() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now;
}

// Only sockets of datagrams and packets can be received from without ever blocking or ending, and sent to by messages.
SystemError CheckSocketType(int fd, int32_t kind, int32_t features) {
  int type = 0;
  socklen_t size = sizeof(type);
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    return LastError("getsockopt(SO_TYPE)", std::to_string(fd));
  }
  // Of the two, only UDP has UDP_SEGMENT.
  const bool may_be_raw = kind == abi::PORT_PACKET_RX || (kind == abi::PORT_UDP_TX && features == 0);
  const bool may_be_udp = kind != abi::PORT_PACKET_RX;
  if ((type == SOCK_RAW && may_be_raw) || (type == SOCK_DGRAM && may_be_udp)) return {};
  return {EPROTOTYPE, "getsockopt(SO_TYPE)", std::to_string(fd)};
}

}  // namespace

Napi::Function Io::DefineIn(Napi::Env env) {
  return DefineClass(env, "Io",
                     {
                         InstanceMethod<&Io::Add>("add"),
                         InstanceMethod<&Io::Remove>("remove"),
                         InstanceMethod<&Io::Receive>("receive"),
                         InstanceMethod<&Io::Send>("send"),
                         InstanceMethod<&Io::TakeGone>("takeGone"),
                         InstanceMethod<&Io::Close>("close"),
                     });
}

Io::Io(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Io>(info) {
  const Napi::Env env = info.Env();
  if (!memory_.Take(env, info[0])) return;
  const std::optional<int32_t> wake_fd = IntegerArgument(info, 1, "Io: wakeFd", 0, INT32_MAX);
  if (!wake_fd) return;
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.IsOpen()) {
    Throw(env, LastError("epoll_create1"));
    return;
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = WAKE_UP;
  if (epoll_ctl(epoll_.Get(), EPOLL_CTL_ADD, *wake_fd, &event) != 0) {
    Throw(env, LastError("epoll_ctl(EPOLL_CTL_ADD)", std::to_string(*wake_fd)));
    return;
  }
  wake_fd_ = *wake_fd;
  receiver_.Prepare(memory_, parts_, esp_);
  sender_.Prepare(memory_, esp_);
}

void Io::Add(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::optional<int32_t> id = IntegerArgument(info, 0, "Io.add: port", 0, abi::MAX_PORTS - 1);
  if (!id) return;
  const std::optional<int32_t> fd = IntegerArgument(info, 1, "Io.add: fd", 0, INT32_MAX);
  if (!fd) return;
  const std::optional<int32_t> kind = IntegerArgument(info, 2, "Io.add: kind", abi::PORT_TAP, abi::PORT_PACKET_RX);
  if (!kind) return;
  const std::optional<int32_t> header = IntegerArgument(info, 3, "Io.add: header", 0, INT32_MAX);
  if (!header) return;
  HeaderLayout layout;
  if (!layout.Parse(*header)) return ThrowType(env, "Io.add: header: expected a header layout");
  const std::optional<int32_t> features = IntegerArgument(info, 4, "Io.add: features", 0, MAX_FEATURES);
  if (!features) return;
  if (!epoll_.IsOpen()) return Throw(env, {EBADF, "epoll_ctl(EPOLL_CTL_ADD)", "closed Io"});
  const std::string subject = "port " + std::to_string(*id);
  if (FindPort(*id) != nullptr) return Throw(env, {EEXIST, "epoll_ctl(EPOLL_CTL_ADD)", subject});
  if (*kind == abi::PORT_UDP_RX || *kind == abi::PORT_UDP_TX || *kind == abi::PORT_PACKET_RX) {
    if (const SystemError error = CheckSocketType(*fd, *kind, *features)) return Throw(env, error);
  }
  if (*kind == abi::PORT_TAP || *kind == abi::PORT_UDP_RX || *kind == abi::PORT_PACKET_RX) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<uint32_t>(*id);
    if (epoll_ctl(epoll_.Get(), EPOLL_CTL_ADD, *fd, &event) != 0) {
      return Throw(env, LastError("epoll_ctl(EPOLL_CTL_ADD)", subject));
    }
  }
  if (static_cast<size_t>(*id) >= ports_.size()) ports_.resize(static_cast<size_t>(*id) + 1);
  gone_.reserve(ports_.size());
  if (*kind == abi::PORT_PACKET_RX) receiver_.PrepareFragments();
  if (layout.IsSealed()) {
    esp_.Prepare(memory_.Associations(), memory_.OutboundAssociations());
    sender_.PrepareSealing();
  }
  Port port;
  port.fd = *fd;
  port.id = *id;
  port.kind = *kind;
  port.features = *features;
  port.header = layout;
  ports_[static_cast<size_t>(*id)] = port;
}

void Io::Remove(const Napi::CallbackInfo& info) {
  const std::optional<int32_t> id = IntegerArgument(info, 0, "Io.remove: port", 0, abi::MAX_PORTS - 1);
  if (!id) return;
  Port* const port = FindPort(*id);
  if (port == nullptr) return;
  // A port that is gone, or that was never polled, is not in the set: the error says so and is not wanted.
  epoll_ctl(epoll_.Get(), EPOLL_CTL_DEL, port->fd, nullptr);
  for (int i = next_event_; i < event_count_; i++) {
    if (events_[i].data.u32 == static_cast<uint32_t>(*id)) events_[i].data.u32 = ERASED;
  }
  if (receiver_.WaitingPort() == *id) receiver_.Forget();
  gone_.erase(std::remove(gone_.begin(), gone_.end(), *id), gone_.end());
  memory_.SetStatus(abi::STATUS_GONE, static_cast<int32_t>(gone_.size()));
  if (port->header.IsSealed()) esp_.Sweep();
  *port = Port();
}

Napi::Value Io::Receive(const Napi::CallbackInfo& info) {
  int32_t timeout_ms;
  if (napi_get_value_int32(info.Env(), info[0], &timeout_ms) != napi_ok) {
    ThrowType(info.Env(), "Io.receive: timeoutMs: expected a number");
    return Napi::Value();
  }
  return Napi::Number::New(info.Env(), ReceiveBatch(timeout_ms));
}

int32_t Io::ReceiveBatch(int timeout_ms) {
  if (!epoll_.IsOpen()) return 0;
  noticed_ = false;
  int32_t frames = ServeEvents();
  if (frames == 0 && !noticed_) {
    // EINTR returns 0 frames as well: the caller comes back by itself.
    const int count = epoll_wait(epoll_.Get(), events_, MAX_EVENTS, timeout_ms);
    next_event_ = 0;
    event_count_ = std::max(count, 0);
    frames = ServeEvents();
  }
  const timespec now = CoarseTime();
  memory_.SetStatus(abi::STATUS_NOW_S, static_cast<int32_t>(now.tv_sec));
  memory_.SetStatus(abi::STATUS_NOW_MS, static_cast<int32_t>((now.tv_sec * 1000 + now.tv_nsec / 1000000) & INT32_MAX));
  return frames;
}

int32_t Io::ServeEvents() {
  int32_t frames = 0;
  tap_slots_ = 0;
  parts_.Clear();
  receiver_.BeginBatch();
  // What the last batch had no room for comes first: its order must be kept.
  if (receiver_.HasMore()) {
    Port* const port = FindPort(receiver_.WaitingPort());
    if (port == nullptr) {
      receiver_.Forget();
    } else {
      frames = receiver_.Resume(*port, 0);
    }
  }
  while (next_event_ < event_count_ && frames < abi::BATCH_FRAMES) {
    const epoll_event& event = events_[next_event_];
    Port* const port = FindPort(static_cast<int32_t>(event.data.u32));
    const bool is_receiver = port != nullptr && port->IsReceiver();
    // A port whose slots are taken keeps its turn: it is the first of the next batch.
    if (is_receiver ? !receiver_.HasRoom() : port != nullptr && tap_slots_ == abi::TAP_SLOTS) break;
    next_event_++;
    if (event.data.u32 == WAKE_UP) {
      TakeWakeUp();
    } else if (port != nullptr && !port->gone) {
      frames += ServePort(*port, event.events, frames);
    }
  }
  return frames;
}

void Io::TakeWakeUp() {
  uint64_t signals;
  // Only to clear it. EAGAIN: another Io that polls the same eventfd was faster.
  if (read(wake_fd_, &signals, sizeof(signals)) < 0 && errno == EAGAIN) return;
  memory_.SetStatus(abi::STATUS_WOKEN, 1);
  noticed_ = true;
}

int32_t Io::ServePort(Port& port, uint32_t events, int32_t first) {
  const bool is_failing = (events & (EPOLLERR | EPOLLHUP)) != 0;
  PortState state = PortState::kAlive;
  int32_t frames = 0;
  if (port.kind == abi::PORT_TAP) {
    // The tun driver signals an error only when the descriptor has no device any more.
    if (is_failing) {
      state = PortState::kGone;
    } else {
      frames = ReadFrames(port, memory_, parts_, first, tap_slots_, state);
    }
  } else {
    frames = receiver_.Receive(port, first, state);
    if (is_failing && frames == 0) UdpReceiver::ClearErrors(port.fd);
  }
  if (state == PortState::kGone) Retire(port);
  return frames;
}

void Io::Retire(Port& port) {
  epoll_ctl(epoll_.Get(), EPOLL_CTL_DEL, port.fd, nullptr);
  port.gone = true;
  gone_.push_back(port.id);  // Room was reserved by `add`.
  memory_.SetStatus(abi::STATUS_GONE, static_cast<int32_t>(gone_.size()));
  noticed_ = true;
}

Napi::Value Io::Send(const Napi::CallbackInfo& info) {
  int32_t count;
  if (napi_get_value_int32(info.Env(), info[0], &count) != napi_ok) {
    ThrowType(info.Env(), "Io.send: count: expected a number");
    return Napi::Value();
  }
  return Napi::Number::New(info.Env(), SendBatch(std::clamp(count, 0, abi::MAX_ACTIONS)));
}

int32_t Io::SendBatch(int32_t count) {
  busy_count_ = 0;
  int32_t failed = 0;
  for (int32_t i = 0; i < count; i++) {
    const int32_t result = SendAction(i);
    memory_.ActionAt(i).result = result;
    if (result != 0) failed++;
  }
  for (int32_t i = 0; i < busy_count_; i++) failed += sender_.Flush(ports_[static_cast<size_t>(busy_ports_[i])]);
  return failed;
}

// Writes to a TAP or uplink at once and queues what goes to a socket. Returns 0 or an errno.
int32_t Io::SendAction(int32_t index) {
  const abi::Action& action = memory_.ActionAt(index);
  Port* const port = FindPort(Memory::Load(action.port));
  const int32_t frame = Memory::Load(action.frame);
  if (port == nullptr || !Memory::IsFrame(frame)) return EINVAL;
  const Parts::Row& row = parts_.RowOf(frame);
  const Bytes bytes = memory_.FirstBytes(frame, row.count == 0 ? 0 : row.rest_length);
  if (bytes.data == nullptr) return EINVAL;
  if (port->gone) return EBADFD;
  if (port->IsTap()) {
    PortState state = PortState::kAlive;
    const int32_t result = WriteFrame(*port, memory_.FrameAt(frame), bytes, row, parts_, state);
    if (state == PortState::kGone) Retire(*port);
    return result;
  }
  if (row.count != 0) return EINVAL;  // Merged frames came from the underlay and never go back there.
  if (port->kind == abi::PORT_UPLINK) {
    PortState state = PortState::kAlive;
    const Bytes outer = memory_.TemplateBytes(action);
    const int32_t result =
        WriteEncapsulated(*port, memory_.FrameAt(frame), bytes, outer, Memory::Load(action.outer), state);
    if (state == PortState::kGone) Retire(*port);
    return result;
  }
  const bool is_first = port->first_action < 0;
  const int32_t result = sender_.Queue(*port, index, bytes);
  if (result == 0 && is_first) busy_ports_[busy_count_++] = port->id;
  return result;
}

Napi::Value Io::TakeGone(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Array ids = Napi::Array::New(env, gone_.size());
  for (uint32_t i = 0; i < gone_.size(); i++) ids.Set(i, Napi::Number::New(env, gone_[i]));
  gone_.clear();
  memory_.SetStatus(abi::STATUS_GONE, 0);
  return ids;
}

void Io::Close(const Napi::CallbackInfo&) {
  epoll_ = Fd();
  ports_.clear();
  gone_.clear();
  next_event_ = 0;
  event_count_ = 0;
}

Port* Io::FindPort(int32_t id) {
  if (static_cast<uint32_t>(id) >= ports_.size()) return nullptr;
  Port& port = ports_[static_cast<size_t>(id)];
  return port.fd < 0 ? nullptr : &port;
}

}  // namespace vtepd
