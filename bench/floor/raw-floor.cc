// The floor for what is not in UDP: GRE with Ethernet frames (gretap) or IP packets (gre), and IP packets in IP (ipip). One
// device, one remote VTEP, no checks, no counters; the system calls of vtepd, in the same batch sizes, on sockets with the
// same options.
//
//   overlay to underlay   epoll, read per frame (at most 64), constant header, one sendmmsg on a raw socket: the kernel
//                         cuts nothing there, so each segment of a superframe is a message
//   underlay to overlay   epoll, one recvmmsg of at most 64 on a packet socket with a vnet header: what the kernel has
//                         merged is written as it is, what it has not is merged here
//
//   raw-floor --mode gretap|gre|ipip --dev NAME --mac MAC --mtu BYTES --local IPV4 --remote IPV4
//
// Prints "ready", ends on SIGTERM or SIGINT with status 0. A failed set-up call ends it with 1 and the call's name.
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

#include "../../native/abi.h"
#include "../../native/coalesce.h"
#include "../../native/frame.h"
#include "../../native/segment.h"
#include "devices.h"

using namespace vtepd;

namespace {

constexpr int BATCH = 64;
constexpr int MAX_MESSAGES = 2048;
constexpr uint8_t NEEDS_CSUM = 1;
// virtio_net_hdr without num_buffers, which is what a packet socket puts in front; then Ethernet and IPv4.
constexpr uint32_t PACKET_VNET_BYTES = 10;
constexpr uint32_t OUTER_BYTES = 14 + 20;

struct Mode {
  const char *name;
  uint8_t protocol;
  uint32_t header_bytes;
  uint8_t header[4];
  FrameKind kind;
};
constexpr Mode MODES[] = {
    {"gretap", 47, 4, {0, 0, 0x65, 0x58}, FrameKind::kEthernet},
    {"gre", 47, 4, {0, 0, 0x08, 0x00}, FrameKind::kIpPacket},
    {"ipip", 4, 0, {}, FrameKind::kIpPacket},
};

const Mode *mode;
uint8_t *arena;
int device_fd, rx_fd, tx_fd;
sockaddr_in remote{};
volatile sig_atomic_t stopping;

void OnSignal(int) {
  stopping = 1;
}

// Slots 0..BATCH-1 for the device, the next BATCH for the socket.
uint8_t *Slot(int i) {
  return arena + static_cast<size_t>(i) * abi::SLOT_BYTES + abi::SLOT_HEADROOM;
}

// ---- overlay to underlay

mmsghdr tx_messages[MAX_MESSAGES];
iovec tx_parts[MAX_MESSAGES * 2];
uint8_t tx_headers[256 * 1024];
int tx_count;
uint32_t tx_header_bytes;

void SendAll() {
  for (int sent = 0; sent < tx_count;) {
    const int done = sendmmsg(tx_fd, tx_messages + sent, static_cast<unsigned>(tx_count - sent), MSG_DONTWAIT);
    sent += done > 0 ? done : 1;
  }
  tx_count = 0;
  tx_header_bytes = 0;
}

void AddPacket(const iovec &header, const iovec &payload) {
  iovec *const parts = tx_parts + tx_count * 2;
  parts[0] = header;
  parts[1] = payload;
  msghdr &message = tx_messages[tx_count++].msg_hdr;
  message = {};
  message.msg_name = &remote;
  message.msg_namelen = sizeof remote;
  message.msg_iov = parts;
  message.msg_iovlen = 2;
}

void AddSuperframe(const Superframe &superframe) {
  SegmentPlan plan;
  if (!PlanSegments(superframe, plan) || plan.count > MAX_MESSAGES) return;
  const uint32_t header = mode->header_bytes + plan.header_length;
  if (header * plan.count > sizeof tx_headers) return;
  if (tx_count + static_cast<int>(plan.count) > MAX_MESSAGES ||
      tx_header_bytes + header * plan.count > sizeof tx_headers) {
    SendAll();
  }
  for (uint32_t i = 0; i < plan.count; i++) {
    uint8_t *const out = tx_headers + tx_header_bytes;
    tx_header_bytes += header;
    memcpy(out, mode->header, mode->header_bytes);
    WriteSegmentHeader(superframe, plan, i, out + mode->header_bytes);
    AddPacket({out, header}, {superframe.data + plan.header_length + i * plan.gso_size, plan.PayloadLength(i)});
  }
}

void OverlayToUnderlay() {
  for (int i = 0; i < BATCH; i++) {
    uint8_t *const frame = Slot(i);
    abi::VnetHeader vnet;
    uint8_t *const buffer = frame - sizeof vnet;
    const ssize_t got = read(device_fd, buffer, abi::SLOT_BYTES - abi::SLOT_HEADROOM + sizeof vnet);
    if (got < 0) break;
    memcpy(&vnet, buffer, sizeof vnet);
    const uint32_t length = static_cast<uint32_t>(got) - sizeof vnet;
    const uint8_t type = vnet.gso_type & 0x0f;
    if (type != 0) {
      AddSuperframe({frame, length, type, vnet.gso_size, mode->kind});
      continue;
    }
    if ((vnet.flags & NEEDS_CSUM) != 0) CompleteChecksum(frame, length, vnet.csum_start, vnet.csum_offset);
    if (tx_count == MAX_MESSAGES) SendAll();
    AddPacket({const_cast<uint8_t *>(mode->header), mode->header_bytes}, {frame, length});
  }
  if (tx_count > 0) SendAll();
}

// ---- underlay to overlay

mmsghdr rx_messages[BATCH];
iovec rx_parts[BATCH];

void PrepareReceive() {
  for (int i = 0; i < BATCH; i++) {
    rx_parts[i] = {Slot(BATCH + i), static_cast<size_t>(abi::SLOT_BYTES - abi::SLOT_HEADROOM)};
    rx_messages[i].msg_hdr.msg_iov = &rx_parts[i];
    rx_messages[i].msg_hdr.msg_iovlen = 1;
  }
}

void Write(const abi::VnetHeader &vnet, uint8_t *frame, uint32_t length, const iovec *more, int count) {
  iovec parts[2 + Group::MAX_SEGMENTS] = {{const_cast<abi::VnetHeader *>(&vnet), sizeof vnet}, {frame, length}};
  std::copy(more, more + count, parts + 2);
  const ssize_t written = writev(device_fd, parts, 2 + count);
  (void)written;  // A refused frame is a dropped frame.
}

// One group of frames at a time: merged as long as they fit together, then written.
struct Pending {
  Group group{true};
  uint8_t *frame = nullptr;
  uint32_t length = 0;
  iovec more[Group::MAX_SEGMENTS];
  int count = 0;

  void Close() {
    if (frame == nullptr) return;
    abi::VnetHeader vnet{};
    MergedFrame merged;
    if (group.Finish(merged)) {
      vnet.flags = NEEDS_CSUM;
      vnet.gso_type = merged.gso_type;
      vnet.gso_size = merged.gso_size;
      vnet.hdr_len = merged.header_length;
      vnet.csum_start = merged.csum_start;
      vnet.csum_offset = merged.csum_offset;
      for (int i = 0; i < count; i++) merged.length -= static_cast<uint32_t>(more[i].iov_len);
      length = merged.length;
    }
    Write(vnet, frame, length, more, count);
    frame = nullptr;
    count = 0;
  }

  void Take(uint8_t *next, uint32_t next_length) {
    if (frame != nullptr && group.Append(next, next_length, more[count])) {
      count++;
      return;
    }
    Close();
    group.Start(next, next_length, mode->kind);
    frame = next;
    length = next_length;
  }
};

void UnderlayToOverlay() {
  const int count = recvmmsg(rx_fd, rx_messages, BATCH, MSG_DONTWAIT, nullptr);
  const uint32_t before = OUTER_BYTES + mode->header_bytes;
  Pending pending;
  for (int i = 0; i < count; i++) {
    uint8_t *const message = static_cast<uint8_t *>(rx_parts[i].iov_base);
    const uint32_t length = rx_messages[i].msg_len;
    if (length <= PACKET_VNET_BYTES + before) continue;
    uint8_t *const frame = message + PACKET_VNET_BYTES + before;
    abi::VnetHeader vnet{};
    memcpy(&vnet, message, PACKET_VNET_BYTES);
    if ((vnet.flags & NEEDS_CSUM) == 0) {
      pending.Take(frame, length - PACKET_VNET_BYTES - before);
      continue;
    }
    // What a sender on this machine or the kernel's merging has left undone.
    pending.Close();
    vnet.csum_start = static_cast<uint16_t>(vnet.csum_start - before);
    vnet.hdr_len = 0;
    Write(vnet, frame, length - PACKET_VNET_BYTES - before, nullptr, 0);
  }
  pending.Close();
}

void Run() {
  const int epoll = Check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  for (const int fd : {device_fd, rx_fd}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    Check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  }
  puts("ready");
  fflush(stdout);
  while (!stopping) {
    epoll_event events[2];
    const int ready = epoll_wait(epoll, events, 2, -1);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd == device_fd) {
        OverlayToUnderlay();
      } else {
        UnderlayToOverlay();
      }
    }
  }
}

}  // namespace

int main(int argc, char **argv) {
  static const option options[] = {
      {"mode", required_argument, nullptr, 'o'},   {"dev", required_argument, nullptr, 't'},
      {"mac", required_argument, nullptr, 'm'},    {"mtu", required_argument, nullptr, 'u'},
      {"local", required_argument, nullptr, 'l'},  {"remote", required_argument, nullptr, 'r'},
      {nullptr, 0, nullptr, 0},
  };
  const char *device = nullptr;
  uint8_t mac[6] = {};
  in_addr local{};
  int mtu = 0, parsed = 0;
  remote.sin_family = AF_INET;
  for (int option; (option = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    switch (option) {
      case 'o':
        for (const Mode &one : MODES) {
          if (strcmp(one.name, optarg) == 0) mode = &one, parsed |= 1;
        }
        break;
      case 't': device = optarg; parsed |= 2; break;
      case 'm':
        if (sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) == 6) {
          parsed |= 4;
        }
        break;
      case 'u': mtu = atoi(optarg); break;
      case 'l': parsed |= inet_pton(AF_INET, optarg, &local) == 1 ? 8 : 0; break;
      case 'r': parsed |= inet_pton(AF_INET, optarg, &remote.sin_addr) == 1 ? 16 : 0; break;
      default: return 1;
    }
  }
  if (parsed != 31 || mtu <= 0) {
    fprintf(stderr,
            "usage: raw-floor --mode gretap|gre|ipip --dev NAME --mac MAC --mtu BYTES --local IPV4 --remote IPV4\n");
    return 1;
  }
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  void *const memory = mmap(nullptr, static_cast<size_t>(2 * BATCH) * abi::SLOT_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Check(-1, "mmap");
  arena = static_cast<uint8_t *>(memory);
  const bool is_ethernet = mode->kind == FrameKind::kEthernet;
  device_fd = is_ethernet ? OpenTap(device, mac, mtu, true) : OpenTun(device, mtu);
  tx_fd = OpenRawSender(local, mode->protocol);
  rx_fd = OpenPacketReceiver(local, mode->protocol);
  PrepareReceive();
  Run();
  return 0;
}
