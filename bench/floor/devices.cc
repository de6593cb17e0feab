#include "devices.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  const int fd = Check(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "open /dev/net/tun");
  Check(ioctl(fd, TUNSETIFF, &request), "TUNSETIFF");
  const int header_bytes = sizeof(abi::VnetHeader);
  Check(ioctl(fd, TUNSETVNETHDRSZ, &header_bytes), "TUNSETVNETHDRSZ");
  const unsigned long offload =
      superframes ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6 : 0;
  Check(ioctl(fd, TUNSETOFFLOAD, offload), "TUNSETOFFLOAD");

  const int control = Check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  memcpy(request.ifr_hwaddr.sa_data, mac, 6);
  Check(ioctl(control, SIOCSIFHWADDR, &request), "SIOCSIFHWADDR");
  request.ifr_mtu = mtu;
  Check(ioctl(control, SIOCSIFMTU, &request), "SIOCSIFMTU");
  request.ifr_qlen = 4096;
  Check(ioctl(control, SIOCSIFTXQLEN, &request), "SIOCSIFTXQLEN");
  Check(ioctl(control, SIOCGIFFLAGS, &request), "SIOCGIFFLAGS");
  request.ifr_flags |= IFF_UP;
  Check(ioctl(control, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
  close(control);
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
