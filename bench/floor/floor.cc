// The floor: what a user-space VTEP costs before it decides anything. One TAP, one remote VTEP (or a list, then all that
// comes from the TAP goes to each of them), no FDB, no checks, no counters. It makes the system calls of vtepd's tier, in the same batch sizes, on sockets with the same options, so vtepd
// divided by floor is the price of policy.
//
//   tier mmsg     overlay to underlay   epoll, read per frame (at most 64), constant VXLAN header, one sendmmsg
//                 underlay to overlay   epoll, one recvmmsg of at most 64, writev [vnet header, frame] per frame
//   tier socket   the same with superframes: TSO and USO on the TAP, UDP_SEGMENT for the segments of one and for runs of
//                 equal-sized frames; UDP_GRO, one writev for the frames of a flow that merge. Cutting and merging are
//                 the addon's own functions (native/segment.h, coalesce.h), so that both sides do the same work.
//
// One thing it must look at in either tier: a datagram from a veth pair with checksum offload carries an inner TCP or UDP
// checksum of which only the pseudo-header sum is there, in a frame that may be a superframe. Such a frame is written with
// a vnet header that says so; without this TCP never connects.
//
//   floor --tap NAME --mac MAC --mtu BYTES --local IPV4 --remote IPV4... --port PORT --vni VNI [--tier socket|mmsg]
//
// Prints "ready", ends on SIGTERM or SIGINT with status 0. A failed set-up call ends it with 1 and the call's name.
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/udp.h>
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
#include <vector>

#include "../../native/abi.h"
#include "../../native/coalesce.h"
#include "../../native/frame.h"
#include "../../native/segment.h"
#include "devices.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

using namespace vtepd;

namespace {

constexpr int BATCH = 64;
constexpr uint32_t VXLAN_BYTES = 8;
constexpr int CONTROL_BYTES = 128;
constexpr uint32_t MAX_SEGMENTS = 64;
constexpr uint32_t MAX_PAYLOAD = 65507;
constexpr int MAX_DATAGRAMS = 2048;
constexpr uint8_t NEEDS_CSUM = 1;

uint8_t *arena;
int tap_fd, rx_fd, tx_fd;
int overlay_mtu = 1450;
bool superframes = true;
sockaddr_in remote{};  // Where the messages under construction go.
std::vector<in_addr> remotes;
uint8_t vxlan_header[VXLAN_BYTES] = {0x08};
volatile sig_atomic_t stopping;

void OnSignal(int) {
  stopping = 1;
}

// Slots 0..BATCH-1 for the TAP, the next BATCH for the socket.
uint8_t *Slot(int i) {
  return arena + static_cast<size_t>(i) * abi::SLOT_BYTES + abi::SLOT_HEADROOM;
}

// ---- overlay to underlay

// One message under construction: a run of datagrams of `size` bytes each, the last may be shorter.
struct Message {
  uint32_t datagrams, size, bytes;
  bool is_open;
};

mmsghdr tx_messages[MAX_DATAGRAMS];
Message tx_state[MAX_DATAGRAMS];
alignas(cmsghdr) uint8_t tx_control[MAX_DATAGRAMS][CMSG_SPACE(sizeof(uint16_t))];
iovec tx_parts[MAX_DATAGRAMS * 2];
uint8_t tx_headers[256 * 1024];
int tx_count, tx_datagrams;
uint32_t tx_header_bytes;

void SendAll() {
  for (const in_addr address : remotes) {
    remote.sin_addr = address;
    // What a full socket refuses is dropped, one message at a time: nothing waits.
    for (int sent = 0; sent < tx_count;) {
      const int done = sendmmsg(tx_fd, tx_messages + sent, static_cast<unsigned>(tx_count - sent), MSG_DONTWAIT);
      sent += done > 0 ? done : 1;
    }
  }
  tx_count = tx_datagrams = 0;
  tx_header_bytes = 0;
}

void NewMessage(uint32_t size, bool is_open) {
  tx_messages[tx_count].msg_hdr = {};
  tx_messages[tx_count].msg_hdr.msg_name = &remote;
  tx_messages[tx_count].msg_hdr.msg_namelen = sizeof remote;
  tx_messages[tx_count].msg_hdr.msg_iov = tx_parts + tx_datagrams * 2;
  tx_state[tx_count++] = {0, size, 0, is_open};
}

void AddDatagram(const iovec &header, const iovec &payload) {
  Message &state = tx_state[tx_count - 1];
  msghdr &message = tx_messages[tx_count - 1].msg_hdr;
  tx_parts[tx_datagrams * 2] = header;
  tx_parts[tx_datagrams++ * 2 + 1] = payload;
  message.msg_iovlen += 2;
  state.bytes += static_cast<uint32_t>(header.iov_len + payload.iov_len);
  if (++state.datagrams != 2) return;
  cmsghdr *const control = reinterpret_cast<cmsghdr *>(tx_control[tx_count - 1]);
  const uint16_t size = static_cast<uint16_t>(state.size);
  control->cmsg_level = IPPROTO_UDP;
  control->cmsg_type = UDP_SEGMENT;
  control->cmsg_len = CMSG_LEN(sizeof size);
  memcpy(CMSG_DATA(control), &size, sizeof size);
  message.msg_control = control;
  message.msg_controllen = sizeof tx_control[0];
}

void AddFrame(uint8_t *frame, uint32_t length) {
  const uint32_t size = VXLAN_BYTES + length;
  const Message *const last = tx_count > 0 ? &tx_state[tx_count - 1] : nullptr;
  if (last == nullptr || !last->is_open || size > last->size || last->datagrams == MAX_SEGMENTS ||
      last->bytes + size > MAX_PAYLOAD) {
    NewMessage(size, superframes);
  }
  AddDatagram({vxlan_header, VXLAN_BYTES}, {frame, length});
  if (size < tx_state[tx_count - 1].size) tx_state[tx_count - 1].is_open = false;
}

void AddSuperframe(const Superframe &superframe) {
  SegmentPlan plan;
  if (!PlanSegments(superframe, plan) || plan.count > MAX_DATAGRAMS) return;
  const uint32_t header = VXLAN_BYTES + plan.header_length;
  if (header * plan.count > sizeof tx_headers) return;
  if (tx_datagrams + static_cast<int>(plan.count) > MAX_DATAGRAMS ||
      tx_header_bytes + header * plan.count > sizeof tx_headers) {
    SendAll();
  }
  const uint32_t per_message = std::min(MAX_SEGMENTS, MAX_PAYLOAD / (header + plan.gso_size));
  for (uint32_t i = 0; i < plan.count; i++) {
    if (i % per_message == 0) NewMessage(header + plan.gso_size, false);
    uint8_t *const out = tx_headers + tx_header_bytes;
    tx_header_bytes += header;
    memcpy(out, vxlan_header, VXLAN_BYTES);
    WriteSegmentHeader(superframe, plan, i, out + VXLAN_BYTES);
    AddDatagram({out, header}, {superframe.data + plan.header_length + i * plan.gso_size, plan.PayloadLength(i)});
  }
}

void OverlayToUnderlay() {
  for (int i = 0; i < BATCH; i++) {
    uint8_t *const frame = Slot(i);
    abi::VnetHeader vnet;
    uint8_t *const buffer = frame - sizeof vnet;
    const ssize_t got = read(tap_fd, buffer, abi::SLOT_BYTES - abi::SLOT_HEADROOM + sizeof vnet);
    if (got < 0) break;
    memcpy(&vnet, buffer, sizeof vnet);
    const uint32_t length = static_cast<uint32_t>(got) - sizeof vnet;
    const uint8_t type = vnet.gso_type & 0x0f;
    if (type != 0) {
      AddSuperframe({frame, length, type, vnet.gso_size, FrameKind::kEthernet});
      continue;
    }
    if ((vnet.flags & NEEDS_CSUM) != 0) CompleteChecksum(frame, length, vnet.csum_start, vnet.csum_offset);
    AddFrame(frame, length);
  }
  if (tx_count > 0) SendAll();
}

// ---- underlay to overlay

mmsghdr rx_messages[BATCH];
iovec rx_parts[BATCH];
sockaddr_in rx_sources[BATCH];
alignas(cmsghdr) uint8_t rx_control[BATCH][CONTROL_BYTES];

void PrepareReceive() {
  for (int i = 0; i < BATCH; i++) {
    rx_parts[i] = {Slot(BATCH + i), static_cast<size_t>(abi::SLOT_BYTES - abi::SLOT_HEADROOM)};
    rx_messages[i].msg_hdr.msg_name = &rx_sources[i];
    rx_messages[i].msg_hdr.msg_iov = &rx_parts[i];
    rx_messages[i].msg_hdr.msg_iovlen = 1;
    rx_messages[i].msg_hdr.msg_control = rx_control[i];
  }
}

uint32_t SegmentSize(msghdr &message) {
  for (cmsghdr *control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != IPPROTO_UDP || control->cmsg_type != UDP_GRO) continue;
    int size;
    memcpy(&size, CMSG_DATA(control), sizeof size);
    return static_cast<uint32_t>(size);
  }
  return UINT32_MAX;
}

void Write(const abi::VnetHeader &vnet, uint8_t *frame, uint32_t length, const iovec *more, int count) {
  iovec parts[2 + Group::MAX_SEGMENTS] = {{const_cast<abi::VnetHeader *>(&vnet), sizeof vnet}, {frame, length}};
  std::copy(more, more + count, parts + 2);
  const ssize_t written = writev(tap_fd, parts, 2 + count);
  (void)written;  // A refused frame is a dropped frame.
}

// A frame that came alone: what its sender left undone is left to the kernel.
void WriteAlone(uint8_t *frame, uint32_t length) {
  abi::VnetHeader vnet{};
  abi::Frame described;
  DescribeWithChecksum(frame, static_cast<int32_t>(length), FrameKind::kEthernet, described);
  if ((described.flags & abi::FLAG_PARTIAL_CSUM) != 0) {
    vnet.flags = NEEDS_CSUM;
    vnet.csum_start = static_cast<uint16_t>(described.csum);
    vnet.csum_offset = static_cast<uint16_t>(described.csum >> 16);
    const uint32_t headers = described.headers & 0xffff, ip = static_cast<uint32_t>(described.headers) >> 16;
    if ((described.flags & abi::FLAG_TCP) != 0 && length - ip > static_cast<uint32_t>(overlay_mtu)) {
      vnet.gso_type = (described.flags & abi::FLAG_IPV4) != 0 ? abi::GSO_TCPV4 : abi::GSO_TCPV6;
      vnet.hdr_len = static_cast<uint16_t>(headers);
      vnet.gso_size = static_cast<uint16_t>(overlay_mtu - (headers - ip));
    }
  }
  Write(vnet, frame, length, nullptr, 0);
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
    MergedFrame merged;
    if (group.Finish(merged)) {
      abi::VnetHeader vnet{};
      vnet.flags = NEEDS_CSUM;
      vnet.gso_type = merged.gso_type;
      vnet.gso_size = merged.gso_size;
      vnet.hdr_len = merged.header_length;
      vnet.csum_start = merged.csum_start;
      vnet.csum_offset = merged.csum_offset;
      for (int i = 0; i < count; i++) merged.length -= static_cast<uint32_t>(more[i].iov_len);
      Write(vnet, frame, merged.length, more, count);
    } else {
      WriteAlone(frame, length);
    }
    frame = nullptr;
    count = 0;
  }

  void Take(uint8_t *next, uint32_t next_length) {
    if (!superframes) return WriteAlone(next, next_length);
    if (frame != nullptr && group.Append(next, next_length, more[count])) {
      count++;
      return;
    }
    Close();
    group.Start(next, next_length, FrameKind::kEthernet);
    frame = next;
    length = next_length;
  }
};

void UnderlayToOverlay() {
  for (int i = 0; i < BATCH; i++) {
    rx_messages[i].msg_hdr.msg_namelen = sizeof rx_sources[i];
    rx_messages[i].msg_hdr.msg_controllen = CONTROL_BYTES;
  }
  const int count = recvmmsg(rx_fd, rx_messages, BATCH, MSG_DONTWAIT, nullptr);
  Pending pending;
  for (int i = 0; i < count; i++) {
    uint8_t *const message = static_cast<uint8_t *>(rx_parts[i].iov_base);
    const uint32_t size = SegmentSize(rx_messages[i].msg_hdr);
    for (uint32_t offset = 0; offset < rx_messages[i].msg_len;) {
      const uint32_t datagram = std::min(size, rx_messages[i].msg_len - offset);
      if (datagram > VXLAN_BYTES + 14) pending.Take(message + offset + VXLAN_BYTES, datagram - VXLAN_BYTES);
      offset += datagram;
    }
  }
  pending.Close();
}

void Run() {
  const int epoll = Check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  epoll_event tap{}, udp{};
  tap.events = udp.events = EPOLLIN;
  tap.data.fd = tap_fd;
  udp.data.fd = rx_fd;
  Check(epoll_ctl(epoll, EPOLL_CTL_ADD, tap_fd, &tap), "epoll_ctl");
  Check(epoll_ctl(epoll, EPOLL_CTL_ADD, rx_fd, &udp), "epoll_ctl");
  puts("ready");
  fflush(stdout);
  while (!stopping) {
    epoll_event events[2];
    const int ready = epoll_wait(epoll, events, 2, -1);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd == tap_fd) {
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
      {"tap", required_argument, nullptr, 't'},    {"mac", required_argument, nullptr, 'm'},
      {"mtu", required_argument, nullptr, 'u'},    {"local", required_argument, nullptr, 'l'},
      {"remote", required_argument, nullptr, 'r'}, {"port", required_argument, nullptr, 'p'},
      {"vni", required_argument, nullptr, 'v'},    {"tier", required_argument, nullptr, 'o'},
      {nullptr, 0, nullptr, 0},
  };
  const char *tap = nullptr;
  uint8_t mac[6] = {};
  in_addr local{};
  uint16_t port = 4789;
  uint32_t vni = 0;
  int parsed = 0;
  remote.sin_family = AF_INET;
  for (int option; (option = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    switch (option) {
      case 't': tap = optarg; parsed |= 1; break;
      case 'm':
        if (sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) == 6) {
          parsed |= 2;
        }
        break;
      case 'u': overlay_mtu = atoi(optarg); break;
      case 'l': parsed |= inet_pton(AF_INET, optarg, &local) == 1 ? 4 : 0; break;
      case 'r':
        remotes.emplace_back();
        parsed |= inet_pton(AF_INET, optarg, &remotes.back()) == 1 ? 8 : 16;
        break;
      case 'p': port = static_cast<uint16_t>(atoi(optarg)); break;
      case 'v': vni = static_cast<uint32_t>(atoi(optarg)); break;
      case 'o':
        superframes = strcmp(optarg, "socket") == 0;
        if (!superframes && strcmp(optarg, "mmsg") != 0) parsed |= 16;
        break;
      default: return 1;
    }
  }
  if (parsed != 15) {
    fprintf(stderr,
            "usage: floor --tap NAME --mac MAC --mtu BYTES --local IPV4 --remote IPV4... --port PORT --vni VNI "
            "[--tier mmsg|socket]\n");
    return 1;
  }
  remote.sin_port = htons(port);
  vxlan_header[4] = static_cast<uint8_t>(vni >> 16);
  vxlan_header[5] = static_cast<uint8_t>(vni >> 8);
  vxlan_header[6] = static_cast<uint8_t>(vni);

  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  void *const memory = mmap(nullptr, static_cast<size_t>(2 * BATCH) * abi::SLOT_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Check(-1, "mmap");
  arena = static_cast<uint8_t *>(memory);
  tap_fd = OpenTap(tap, mac, overlay_mtu, superframes);
  rx_fd = OpenReceiver(local, port, superframes);
  tx_fd = OpenSender(local);
  PrepareReceive();
  Run();
  return 0;
}
