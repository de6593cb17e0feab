// One worker's epoll set and its batches: the addon's only object. How it works is told in io.cc.
#ifndef VTEPD_IO_H_
#define VTEPD_IO_H_

#include <napi.h>
#include <sys/epoll.h>

#include <cstdint>
#include <vector>

#include "esp.h"
#include "fd.h"
#include "memory.h"
#include "parts.h"
#include "port.h"
#include "udp-receiver.h"
#include "udp-sender.h"

namespace vtepd {

class Io : public Napi::ObjectWrap<Io> {
 public:
  static Napi::Function DefineIn(Napi::Env env);

  explicit Io(const Napi::CallbackInfo& info);

  void Add(const Napi::CallbackInfo& info);
  void Remove(const Napi::CallbackInfo& info);
  Napi::Value Receive(const Napi::CallbackInfo& info);
  Napi::Value Send(const Napi::CallbackInfo& info);
  Napi::Value TakeGone(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

 private:
  static constexpr int MAX_EVENTS = 64;

  int32_t ReceiveBatch(int timeout_ms);
  int32_t ServeEvents();
  int32_t ServePort(Port& port, uint32_t events, int32_t first);
  void TakeWakeUp();
  int32_t SendBatch(int32_t count);
  int32_t SendAction(int32_t index);
  Port* FindPort(int32_t id);
  void Retire(Port& port);

  Memory memory_;
  Parts parts_;
  Esp esp_;
  UdpReceiver receiver_;
  UdpSender sender_;
  Fd epoll_;
  int wake_fd_ = -1;         // Borrowed.
  std::vector<Port> ports_;  // By id.
  std::vector<int32_t> gone_;
  // Events of the last epoll_wait that no call has served yet: next_event_..event_count_-1.
  epoll_event events_[MAX_EVENTS] = {};
  int next_event_ = 0;
  int event_count_ = 0;
  // TAP slots that the batch under construction has used.
  int32_t tap_slots_ = 0;
  // Something other than a frame happened, which the caller must hear of before the next wait.
  bool noticed_ = false;
  // Ports with queued UDP actions, in one `send`.
  int32_t busy_ports_[abi::MAX_ACTIONS] = {};
  int32_t busy_count_ = 0;
};

}  // namespace vtepd

#endif  // VTEPD_IO_H_
