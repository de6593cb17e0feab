#include "devices.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../native/abi.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

using namespace vtepd;

namespace {

constexpr int SOCKET_BUFFER_BYTES = 4 << 20;

void SetOption(int fd, int level, int name, int value, const char *what) {
  Check(setsockopt(fd, level, name, &value, sizeof value), what);
}

int Bound(int fd, in_addr local, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr = local;
  address.sin_port = htons(port);
  Check(bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address), "bind");
  return fd;
}

int MakeDevice(const char *name, int kind, bool superframes, ifreq &request) {
  request.ifr_flags = static_cast<short>(kind | IFF_NO_PI | IFF_VNET_HDR);
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  const int fd = Check(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "open /dev/net/tun");
  Check(ioctl(fd, TUNSETIFF, &request), "TUNSETIFF");
  const int header_bytes = sizeof(abi::VnetHeader);
  Check(ioctl(fd, TUNSETVNETHDRSZ, &header_bytes), "TUNSETVNETHDRSZ");
  const unsigned long offload =
      superframes ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6 : 0;
  Check(ioctl(fd, TUNSETOFFLOAD, offload), "TUNSETOFFLOAD");
  return fd;
}

// Closes `control`.
void SetUp(int control, int mtu, ifreq &request) {
  request.ifr_mtu = mtu;
  Check(ioctl(control, SIOCSIFMTU, &request), "SIOCSIFMTU");
  request.ifr_qlen = 4096;
  Check(ioctl(control, SIOCSIFTXQLEN, &request), "SIOCSIFTXQLEN");
  Check(ioctl(control, SIOCGIFFLAGS, &request), "SIOCGIFFLAGS");
  request.ifr_flags |= IFF_UP;
  Check(ioctl(control, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
  close(control);
}

void Filter(int fd, const sock_filter *program, size_t size) {
  const sock_fprog filter = {static_cast<unsigned short>(size), const_cast<sock_filter *>(program)};
  Check(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter), "SO_ATTACH_FILTER");
}

}  // namespace

int Check(int result, const char *what) {
  if (result < 0) {
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
  }
  return result;
}

int OpenTap(const char *name, const uint8_t mac[6], int mtu, bool superframes) {
  ifreq request{};
  const int fd = MakeDevice(name, IFF_TAP, superframes, request);
  const int control = Check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  memcpy(request.ifr_hwaddr.sa_data, mac, 6);
  Check(ioctl(control, SIOCSIFHWADDR, &request), "SIOCSIFHWADDR");
  SetUp(control, mtu, request);
  return fd;
}

int OpenTun(const char *name, int mtu) {
  ifreq request{};
  const int fd = MakeDevice(name, IFF_TUN, true, request);
  SetUp(Check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"), mtu, request);
  return fd;
}

int OpenReceiver(in_addr local, uint16_t port, bool merges) {
  const int fd = Check(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
  SetOption(fd, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
  SetOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_BYTES, "SO_RCVBUFFORCE");
  SetOption(fd, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
  SetOption(fd, IPPROTO_IP, IP_RECVTOS, 1, "IP_RECVTOS");
  SetOption(fd, SOL_SOCKET, SO_RXQ_OVFL, 1, "SO_RXQ_OVFL");
  if (merges) SetOption(fd, IPPROTO_UDP, UDP_GRO, 1, "UDP_GRO");
  return Bound(fd, local, port);
}

int OpenSender(in_addr local) {
  const int fd = Check(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
  SetOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER_BYTES, "SO_SNDBUFFORCE");
  return Bound(fd, local, 0);
}

int OpenRawSender(in_addr local, uint8_t protocol) {
  const int fd = Check(socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), "socket");
  const sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  Filter(fd, nothing, 1);
  SetOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER_BYTES, "SO_SNDBUFFORCE");
  return Bound(fd, local, 0);
}

int OpenPacketReceiver(in_addr local, uint8_t protocol) {
  const int fd = Check(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
  const sock_filter ours[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 9),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, protocol, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 14 + 16),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(local.s_addr), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  Filter(fd, ours, sizeof ours / sizeof ours[0]);
  SetOption(fd, SOL_PACKET, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR");
  SetOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_BYTES, "SO_RCVBUFFORCE");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_IP);
  Check(bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address), "bind");
  return fd;
}
