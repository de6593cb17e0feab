// Asks the kernel what becomes of a superframe. It holds two TAPs of the namespace it runs in; the test connects them,
// with a bridge or routes, and whatever is written to the first is read from the second. That one takes no offloads, so
// the kernel has to segment before. Requests and answers as in verbs.h:
//
//   open WRITER READER      makes the TAPs, down; `ready`
//   offload FLAGS           TUNSETOFFLOAD of the writer, TUN_F_* bits in decimal; `ready`
//   forward HEADER FRAME    writes the frame behind this vnet header; the frames that come out with spaces between,
//                           `-` for none
//
// What fails is answered with `errno NUMBER`.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>

#include "verbs.h"

namespace vtepd::tools {

namespace {

// The kernel hands frames over within the write, unless it is busy; this long a silence is their end.
constexpr int SILENCE_MS = 50;
constexpr size_t MAX_FRAME = 65536 + 64;

// Negative when it failed; errno says why.
int OpenTap(const std::string& name, int flags) {
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return fd;
  ifreq request = {};
  strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | flags);
  return ioctl(fd, TUNSETIFF, &request) < 0 ? -1 : fd;
}

class Oracle {
 public:
  std::string Answer(const std::string& line) {
    std::istringstream arguments(line);
    std::string verb;
    arguments >> verb;
    std::ostringstream answer;
    bool succeeded = false;
    errno = EINVAL;
    if (verb == "open") succeeded = Open(arguments, answer);
    if (verb == "offload") succeeded = SetOffload(arguments, answer);
    if (verb == "forward") succeeded = Forward(arguments, answer);
    return succeeded ? answer.str() : "errno " + std::to_string(errno);
  }

 private:
  bool Open(std::istream& arguments, std::ostream& answer) {
    std::string writer;
    std::string reader;
    if (!(arguments >> writer >> reader)) return false;
    writer_ = OpenTap(writer, IFF_VNET_HDR);
    reader_ = OpenTap(reader, 0);
    answer << "ready";
    return writer_ >= 0 && reader_ >= 0;
  }

  bool SetOffload(std::istream& arguments, std::ostream& answer) {
    unsigned long flags;
    if (!(arguments >> flags)) return false;
    answer << "ready";
    return ioctl(writer_, TUNSETOFFLOAD, flags) == 0;
  }

  bool Forward(std::istream& arguments, std::ostream& answer) {
    std::optional<std::vector<uint8_t>> header = ReadBytes(arguments);
    std::optional<std::vector<uint8_t>> frame = ReadBytes(arguments);
    if (!header || !frame) return false;
    Discard();
    int header_length = static_cast<int>(header->size());
    if (ioctl(writer_, TUNSETVNETHDRSZ, &header_length) != 0) return false;
    const iovec parts[] = {{header->data(), header->size()}, {frame->data(), frame->size()}};
    if (writev(writer_, parts, 2) < 0) return false;
    return ReadAll(answer);
  }

  // What the kernel sent on its own account before.
  void Discard() {
    uint8_t frame[MAX_FRAME];
    while (read(reader_, frame, sizeof(frame)) > 0) continue;
  }

  bool ReadAll(std::ostream& answer) {
    const char* separator = "";
    pollfd event = {reader_, POLLIN, 0};
    while (poll(&event, 1, SILENCE_MS) > 0) {
      uint8_t frame[MAX_FRAME];
      const ssize_t length = read(reader_, frame, sizeof(frame));
      if (length < 0) return false;
      answer << separator;
      WriteBytes(answer, frame, static_cast<size_t>(length));
      separator = " ";
    }
    if (*separator == '\0') answer << '-';
    return true;
  }

  int writer_ = -1;
  int reader_ = -1;
};

}  // namespace

}  // namespace vtepd::tools

int main() {
  vtepd::tools::Oracle oracle;
  std::string line;
  while (std::getline(std::cin, line)) std::cout << oracle.Answer(line) << std::endl;
  return 0;
}
