/*
 * The floor: what a user-space VTEP costs before it decides anything. One TAP, one remote VTEP, no FDB, no checks, no
 * counters. It makes the system calls of vtepd's tier without offloads, in the same batch sizes, on sockets with the same
 * options, so vtepd divided by floor is the price of policy.
 *
 *   overlay to underlay   epoll, read per frame (at most 64), constant VXLAN header, one sendmmsg
 *   underlay to overlay   epoll, one recvmmsg of at most 64, writev [vnet header, frame] per frame
 *
 * One thing it must look at: a datagram from a veth pair with checksum offload carries an inner TCP or UDP checksum of
 * which only the pseudo-header sum is there, in a frame that may be a superframe. Such a frame is written with a vnet
 * header that says so; without this TCP never connects.
 *
 *   floor --tap NAME --mac MAC --mtu BYTES --local IPV4 --remote IPV4 --port PORT --vni VNI
 *
 * Prints "ready", ends on SIGTERM or SIGINT with status 0. A failed set-up call ends it with 1 and the call's name.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    BATCH = 64,
    /* As in src/binding/abi.ts: the largest datagram and headers, an odd number of cache lines. */
    SLOT_BYTES = 1041 * 64,
    SLOT_HEADROOM = 64,
    VNET_BYTES = sizeof(struct virtio_net_hdr_mrg_rxbuf),
    VXLAN_BYTES = 8,
    SOCKET_BUFFER_BYTES = 4 << 20,
    CONTROL_BYTES = 128,
    ETHERNET_BYTES = 14,
    IPV4_BYTES = 20,
    IPV6_BYTES = 40,
};

static uint8_t *arena;
static int tap_fd, rx_fd, tx_fd;
static int overlay_mtu = 1450;
static struct sockaddr_in remote = { .sin_family = AF_INET };
static uint8_t vxlan_header[VXLAN_BYTES] = { 0x08 };
static volatile sig_atomic_t stopping;

static void on_signal(int signal) {
    (void)signal;
    stopping = 1;
}

static int check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
        exit(1);
    }
    return result;
}

static void set_option(int fd, int level, int name, int value, const char *what) {
    check(setsockopt(fd, level, name, &value, sizeof value), what);
}

static void open_tap(const char *name, const uint8_t mac[6]) {
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    tap_fd = check(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "open /dev/net/tun");
    check(ioctl(tap_fd, TUNSETIFF, &request), "TUNSETIFF");
    int header_bytes = VNET_BYTES;
    check(ioctl(tap_fd, TUNSETVNETHDRSZ, &header_bytes), "TUNSETVNETHDRSZ");
    check(ioctl(tap_fd, TUNSETOFFLOAD, 0), "TUNSETOFFLOAD");

    int control = check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(request.ifr_hwaddr.sa_data, mac, 6);
    check(ioctl(control, SIOCSIFHWADDR, &request), "SIOCSIFHWADDR");
    request.ifr_mtu = overlay_mtu;
    check(ioctl(control, SIOCSIFMTU, &request), "SIOCSIFMTU");
    check(ioctl(control, SIOCGIFFLAGS, &request), "SIOCGIFFLAGS");
    request.ifr_flags |= IFF_UP;
    check(ioctl(control, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
    close(control);
}

static int open_udp(struct in_addr local, uint16_t port, int receives) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = local, .sin_port = htons(port) };
    int fd = check(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    if (receives) {
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
        set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_BYTES, "SO_RCVBUFFORCE");
        set_option(fd, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
        set_option(fd, IPPROTO_IP, IP_RECVTOS, 1, "IP_RECVTOS");
        set_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1, "SO_RXQ_OVFL");
    } else {
        set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER_BYTES, "SO_SNDBUFFORCE");
    }
    check(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
    return fd;
}

static uint8_t *slot(int i) {
    return arena + (size_t)i * SLOT_BYTES + SLOT_HEADROOM;
}

static struct mmsghdr tx_messages[BATCH], rx_messages[BATCH];
static struct iovec tx_parts[BATCH][2], rx_parts[BATCH];
static struct sockaddr_storage rx_sources[BATCH];
static uint8_t rx_control[BATCH][CONTROL_BYTES] __attribute__((aligned(8)));

static void prepare_batches(void) {
    for (int i = 0; i < BATCH; i++) {
        tx_parts[i][0] = (struct iovec){ vxlan_header, VXLAN_BYTES };
        tx_parts[i][1] = (struct iovec){ slot(i), 0 };
        tx_messages[i].msg_hdr = (struct msghdr){
            .msg_name = &remote, .msg_namelen = sizeof remote, .msg_iov = tx_parts[i], .msg_iovlen = 2,
        };
        rx_parts[i] = (struct iovec){ slot(i), SLOT_BYTES - SLOT_HEADROOM };
        rx_messages[i].msg_hdr = (struct msghdr){
            .msg_name = &rx_sources[i], .msg_iov = &rx_parts[i], .msg_iovlen = 1, .msg_control = rx_control[i],
        };
    }
}

static void overlay_to_underlay(void) {
    int count = 0;
    while (count < BATCH) {
        uint8_t *frame = slot(count);
        ssize_t length = read(tap_fd, frame - VNET_BYTES, SLOT_BYTES - SLOT_HEADROOM + VNET_BYTES);
        if (length < 0) break;
        tx_parts[count++][1].iov_len = (size_t)length - VNET_BYTES;
    }
    /* What a full socket refuses is dropped, one datagram at a time: nothing waits. */
    for (int sent = 0; sent < count;) {
        int done = sendmmsg(tx_fd, tx_messages + sent, (unsigned)(count - sent), MSG_DONTWAIT);
        sent += done > 0 ? done : 1;
    }
}

static uint16_t read16(const uint8_t *at) {
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t sum16(const uint8_t *at, int length) {
    uint32_t sum = 0;
    for (int i = 0; i < length; i += 2) sum += read16(at + i);
    return sum;
}

/* Fills in the vnet header of a frame whose TCP or UDP checksum field holds only the pseudo-header sum. */
static void describe_partial_checksum(const uint8_t *frame, int length, struct virtio_net_hdr_mrg_rxbuf *vnet) {
    if (length < ETHERNET_BYTES + IPV4_BYTES + 8) return;
    const uint8_t *ip = frame + ETHERNET_BYTES;
    int ip_bytes, addresses, protocol, gso_type;
    if (read16(frame + 12) == 0x0800) {
        if (read16(ip + 6) & 0x3fff) return; /* a fragment */
        ip_bytes = (ip[0] & 15) * 4;
        addresses = 12;
        protocol = ip[9];
        gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
    } else if (read16(frame + 12) == 0x86dd) {
        ip_bytes = IPV6_BYTES;
        addresses = 8;
        protocol = ip[6];
        gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
    } else {
        return;
    }
    int segment_offset = ETHERNET_BYTES + ip_bytes;
    int segment_bytes = length - segment_offset;
    int field = protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : -1;
    if (field < 0 || segment_bytes < (protocol == IPPROTO_TCP ? 20 : 8)) return;
    const uint8_t *segment = frame + segment_offset;
    uint32_t sum = sum16(ip + addresses, gso_type == VIRTIO_NET_HDR_GSO_TCPV4 ? 8 : 32);
    sum += (uint32_t)protocol + (uint32_t)segment_bytes;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    if (sum != read16(segment + field)) return;

    vnet->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    vnet->hdr.csum_start = (uint16_t)segment_offset;
    vnet->hdr.csum_offset = (uint16_t)field;
    if (protocol == IPPROTO_TCP && length > ETHERNET_BYTES + overlay_mtu) {
        int tcp_bytes = (segment[12] >> 4) * 4;
        vnet->hdr.gso_type = (uint8_t)gso_type;
        vnet->hdr.hdr_len = (uint16_t)(segment_offset + tcp_bytes);
        vnet->hdr.gso_size = (uint16_t)(overlay_mtu - ip_bytes - tcp_bytes);
    }
}

static void underlay_to_overlay(void) {
    for (int i = 0; i < BATCH; i++) {
        rx_messages[i].msg_hdr.msg_namelen = sizeof rx_sources[i];
        rx_messages[i].msg_hdr.msg_controllen = CONTROL_BYTES;
    }
    int count = recvmmsg(rx_fd, rx_messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        int length = (int)rx_messages[i].msg_len - VXLAN_BYTES;
        if (length < ETHERNET_BYTES) continue;
        uint8_t *frame = slot(i) + VXLAN_BYTES;
        struct virtio_net_hdr_mrg_rxbuf vnet = { 0 };
        describe_partial_checksum(frame, length, &vnet);
        struct iovec parts[2] = { { &vnet, VNET_BYTES }, { frame, (size_t)length } };
        ssize_t written = writev(tap_fd, parts, 2);
        (void)written; /* a refused frame is a dropped frame */
    }
}

static void run(void) {
    int epoll = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    struct epoll_event tap = { .events = EPOLLIN, .data.fd = tap_fd }, udp = { .events = EPOLLIN, .data.fd = rx_fd };
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, tap_fd, &tap), "epoll_ctl");
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, rx_fd, &udp), "epoll_ctl");
    puts("ready");
    fflush(stdout);
    while (!stopping) {
        struct epoll_event events[2];
        int ready = epoll_wait(epoll, events, 2, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == tap_fd) overlay_to_underlay();
            else underlay_to_overlay();
        }
    }
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        { "tap", required_argument, NULL, 't' },   { "mac", required_argument, NULL, 'm' },
        { "mtu", required_argument, NULL, 'u' },   { "local", required_argument, NULL, 'l' },
        { "remote", required_argument, NULL, 'r' }, { "port", required_argument, NULL, 'p' },
        { "vni", required_argument, NULL, 'v' },   { NULL, 0, NULL, 0 },
    };
    const char *tap = NULL;
    uint8_t mac[6] = { 0 };
    struct in_addr local = { 0 };
    uint16_t port = 4789;
    uint32_t vni = 0;
    int parsed = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 't': tap = optarg; parsed |= 1; break;
        case 'm':
            if (sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) == 6) parsed |= 2;
            break;
        case 'u': overlay_mtu = atoi(optarg); break;
        case 'l': parsed |= inet_pton(AF_INET, optarg, &local) == 1 ? 4 : 0; break;
        case 'r': parsed |= inet_pton(AF_INET, optarg, &remote.sin_addr) == 1 ? 8 : 0; break;
        case 'p': port = (uint16_t)atoi(optarg); break;
        case 'v': vni = (uint32_t)atoi(optarg); break;
        default: return 1;
        }
    }
    if (parsed != 15) {
        fprintf(stderr, "usage: floor --tap NAME --mac MAC --mtu BYTES --local IPV4 --remote IPV4 --port PORT --vni VNI\n");
        return 1;
    }
    remote.sin_port = htons(port);
    vxlan_header[4] = (uint8_t)(vni >> 16);
    vxlan_header[5] = (uint8_t)(vni >> 8);
    vxlan_header[6] = (uint8_t)vni;

    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    arena = mmap(NULL, (size_t)BATCH * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED) check(-1, "mmap");
    open_tap(tap, mac);
    rx_fd = open_udp(local, port, 1);
    tx_fd = open_udp(local, 0, 0);
    prepare_batches();
    run();
    return 0;
}
