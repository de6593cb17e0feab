#include "notification.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>

#include "errno.h"
#include "fd.h"
#include "options.h"

namespace vtepd {

namespace {

constexpr size_t MAX_PATH = sizeof(sockaddr_un::sun_path);
constexpr size_t MAX_TEXT = 4096;
// A service manager whose queue is full is waited for, but not for ever.
constexpr timeval SEND_TIMEOUT = {2, 0};

struct Notification {
  std::string socket;
  std::string text;
  std::optional<int> fd;
};

SystemError Send(const Notification& notification) {
  const Fd sender(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!sender.IsOpen()) return LastError("socket", notification.socket);
  if (setsockopt(sender.Get(), SOL_SOCKET, SO_SNDTIMEO, &SEND_TIMEOUT, sizeof(SEND_TIMEOUT)) != 0) {
    return LastError("setsockopt(SO_SNDTIMEO)", notification.socket);
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, notification.socket.data(), notification.socket.size());
  // An abstract name, which begins with a NUL byte and ends where its length says.
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';

  iovec text = {const_cast<char*>(notification.text.data()), notification.text.size()};
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + notification.socket.size());
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (notification.fd) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &*notification.fd, sizeof(int));
  }
  ssize_t sent;
  do {
    sent = sendmsg(sender.Get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? LastError("sendmsg", notification.socket) : SystemError{};
}

}  // namespace

void SendNotification(const Napi::CallbackInfo& info) {
  Options options(info, "sendNotification");
  Notification notification;
  notification.socket = options.RequiredText("socket", MAX_PATH);
  notification.text = options.RequiredText("text", MAX_TEXT);
  const std::optional<int64_t> fd = options.Integer("fd", 0, INT32_MAX);
  if (options.Failed()) return;
  if (fd) notification.fd = static_cast<int>(*fd);
  if (const SystemError error = Send(notification)) Throw(info.Env(), error);
}

}  // namespace vtepd
