// What the sockets of the underlay have in common, UDP and raw ones: the address they are bound to, and what the
// packets look like that they send.
#ifndef VTEPD_UNDERLAY_SOCKET_H_
#define VTEPD_UNDERLAY_SOCKET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "errno.h"
#include "options.h"
#include "socket-options.h"

namespace vtepd {

// Explained in src/binding/addon.ts.
struct UnderlayOptions {
  std::vector<uint8_t> address;
  uint16_t port = 0;  // Stays 0 for a raw socket.
  uint32_t scope_id = 0;
  std::string device;
  std::optional<int64_t> send_buffer;
  std::optional<int64_t> ttl;
  std::optional<int64_t> tos;
  std::optional<int64_t> mtu_discover;
  std::optional<int64_t> mark;
  std::optional<int64_t> flow_label;
  std::string netns;

  bool IsIpv6() const { return address.size() == 16; }
  // Without the port.
  std::string AddressText() const;
};

// All but the port.
void ReadUnderlayOptions(Options& options, UnderlayOptions& underlay);

// Everything that is set before the socket is bound.
void SetUnderlayOptions(SocketOptions& socket, const UnderlayOptions& options);

// `subject` is what a message says that was bound.
SystemError BindUnderlay(int fd, const UnderlayOptions& options, const std::string& subject);

}  // namespace vtepd

#endif  // VTEPD_UNDERLAY_SOCKET_H_
