/*
 * vxlan-send: ready-made VXLAN datagrams straight onto the underlay, so that only the receiving VTEP can be the limit.
 * Inner frames are Ethernet/IPv4/UDP with correct checksums and the same probe as udp-send's, so udp-sink counts them.
 * With --macs N their source MACs run through N made-up ones, to teach an FDB or to flood it; with --tunnels N each call
 * sends into the next of N VNIs.
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { VXLAN_BYTES = 8, MAX_DATAGRAM = VXLAN_BYTES + MAX_FRAME, MAX_GSO_BYTES = 65507 };

/* Datagrams lie back to back, so that a run of them is also one buffer for UDP_SEGMENT. */
static uint8_t datagrams[BATCH * MAX_DATAGRAM];

static void write_vni(uint8_t *datagram, uint32_t vni) {
    datagram[4] = (uint8_t)(vni >> 16);
    datagram[5] = (uint8_t)(vni >> 8);
    datagram[6] = (uint8_t)vni;
}

/* Returns the sum of what is constant in the inner frame. */
static uint32_t write_template(const struct options *options, uint8_t *datagram) {
    memset(datagram, 0, VXLAN_BYTES);
    datagram[0] = 0x08;
    write_vni(datagram, options->vni);
    return frame_template(options, datagram + VXLAN_BYTES);
}

int vxlan_send(const struct options *options) {
    int sockets[MAX_FLOWS];
    uint64_t sequences[MAX_FLOWS] = { 0 };
    int datagram_bytes = VXLAN_BYTES + options->size;
    int per_call = options->gso ? MAX_GSO_BYTES / datagram_bytes : BATCH;
    if (per_call > BATCH) per_call = BATCH;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = options->to, .sin_port = htons(options->port) };
    for (int flow = 0; flow < options->flows; flow++) {
        int fd = sockets[flow] = socket(AF_INET, SOCK_DGRAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
        set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20, "SO_SNDBUFFORCE");
        if (options->gso) set_option(fd, IPPROTO_UDP, UDP_SEGMENT, datagram_bytes, "UDP_SEGMENT");
    }
    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH] = { 0 };
    uint32_t constant_sum = 0;
    for (int i = 0; i < BATCH; i++) {
        uint8_t *datagram = datagrams + (size_t)i * (size_t)datagram_bytes;
        constant_sum = write_template(options, datagram);
        parts[i] = (struct iovec){ datagram, (size_t)datagram_bytes };
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
    }

    uint64_t errors = 0;
    struct pacer pacer = pacer_start(options);
    int flow = 0, tunnel = 0;
    for (int due; (due = pacer_due(&pacer)) > 0;) {
        if (due > per_call) due = per_call;
        uint64_t now = now_ns();
        for (int i = 0; i < due; i++) {
            struct probe probe = { PROBE_MAGIC, (uint32_t)flow, sequences[flow] + (uint64_t)i, (uint32_t)now };
            uint8_t *frame = (uint8_t *)parts[i].iov_base + VXLAN_BYTES;
            if (options->tunnels > 1) write_vni(parts[i].iov_base, options->vni + (uint32_t)tunnel);
            frame_finish(frame, constant_sum, (uint16_t)(20000 + flow), probe);
            if (options->macs) write_made_up_mac(frame + 6, (uint32_t)((pacer.sent + (uint64_t)i) % options->macs));
        }
        tunnel = (tunnel + 1) % options->tunnels;
        int sent;
        if (options->gso) {
            sent = send(sockets[flow], datagrams, (size_t)(due * datagram_bytes), 0) < 0 ? -1 : due;
        } else {
            sent = sendmmsg(sockets[flow], messages, (unsigned)due, 0);
        }
        if (sent < 0) {
            errors++;
            if (errno != ECONNREFUSED && errno != ENOBUFS && errno != EAGAIN) die("send");
            continue;
        }
        sequences[flow] += (uint64_t)sent;
        pacer.sent += (uint64_t)sent;
        flow = (flow + 1) % options->flows;
    }
    double seconds = (double)(now_ns() - pacer.start_ns) / 1e9;
    printf("{\"sent\":%lu,\"seconds\":%.6f,\"errors\":%lu}\n", pacer.sent, seconds, errors);
    return 0;
}
