#include "socket-options.h"

#include <linux/filter.h>
#include <sys/socket.h>

namespace vtepd {

void SocketOptions::SetBytes(int level, int option, const char* name, const void* value, size_t size) {
  if (error_ || setsockopt(fd_, level, option, value, static_cast<socklen_t>(size)) == 0) return;
  error_ = LastError(std::string("setsockopt(") + name + ")");
}

void SocketOptions::SetBuffer(int forced, int limited, const char* name, int bytes) {
  if (error_ || setsockopt(fd_, SOL_SOCKET, forced, &bytes, sizeof(bytes)) == 0) return;
  Set(SOL_SOCKET, limited, name, bytes);
}

void SocketOptions::SetReceiveBuffer(int bytes) {
  SetBuffer(SO_RCVBUFFORCE, SO_RCVBUF, "SO_RCVBUF", bytes);
}

void SocketOptions::SetSendBuffer(int bytes) {
  SetBuffer(SO_SNDBUFFORCE, SO_SNDBUF, "SO_SNDBUF", bytes);
}

void SocketOptions::BindToDevice(const std::string& device) {
  if (!device.empty()) SetBytes(SOL_SOCKET, SO_BINDTODEVICE, "SO_BINDTODEVICE", device.c_str(), device.size() + 1);
}

void SocketOptions::DiscardInput() {
  // The classic BPF program "return 0".
  sock_filter program[] = {{BPF_RET | BPF_K, 0, 0, 0}};
  const sock_fprog filter = {1, program};
  SetBytes(SOL_SOCKET, SO_ATTACH_FILTER, "SO_ATTACH_FILTER", &filter, sizeof(filter));
}

}  // namespace vtepd
