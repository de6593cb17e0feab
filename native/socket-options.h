// Options of a socket, set one after the other until one fails: later calls do nothing, and the first error stays.
#ifndef VTEPD_SOCKET_OPTIONS_H_
#define VTEPD_SOCKET_OPTIONS_H_

#include <cstddef>
#include <string>

#include "errno.h"

namespace vtepd {

class SocketOptions {
 public:
  // The descriptor is borrowed.
  explicit SocketOptions(int fd) : fd_(fd) {}

  // `name` is the option's, for the message.
  void Set(int level, int option, const char* name, int value) { SetBytes(level, option, name, &value, sizeof(value)); }
  void SetBytes(int level, int option, const char* name, const void* value, size_t size);

  // SO_RCVBUF or SO_SNDBUF: the forced variant ignores the host's limit but needs CAP_NET_ADMIN; the other goes as far
  // as the limit.
  void SetReceiveBuffer(int bytes);
  void SetSendBuffer(int bytes);

  // SO_BINDTODEVICE; an empty name binds to none.
  void BindToDevice(const std::string& device);

  // Attaches a filter that keeps no byte of any packet: a socket that only sends must not fill its receive queue.
  void DiscardInput();

  const SystemError& Error() const { return error_; }

 private:
  void SetBuffer(int forced, int limited, const char* name, int bytes);

  int fd_;
  SystemError error_;
};

}  // namespace vtepd

#endif  // VTEPD_SOCKET_OPTIONS_H_
