/*
 * vxlan-send: ready-made VXLAN datagrams straight onto the underlay, so that only the receiving VTEP can be the limit.
 * Inner frames are Ethernet/IPv4/UDP with correct checksums and the same probe as udp-send's, so udp-sink counts them.
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

static void write16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t sum16(const uint8_t *at, int length, uint32_t sum) {
    for (int i = 0; i + 1 < length; i += 2) sum += (uint32_t)(at[i] << 8 | at[i + 1]);
    if (length & 1) sum += (uint32_t)at[length - 1] << 8;
    return sum;
}

static uint16_t fold(uint32_t sum) {
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* Everything but source port, probe and UDP checksum; returns the sum of the pseudo header and of what is constant. */
static uint32_t write_template(const struct options *options, uint8_t *datagram) {
    memset(datagram, 0, (size_t)(VXLAN_BYTES + options->size));
    datagram[0] = 0x08;
    datagram[4] = (uint8_t)(options->vni >> 16);
    write16(datagram + 5, options->vni & 0xffff);
    uint8_t *frame = datagram + VXLAN_BYTES;
    memcpy(frame, options->inner_dst_mac, 6);
    memcpy(frame + 6, options->inner_src_mac, 6);
    write16(frame + 12, 0x0800);
    uint8_t *ip = frame + ETHERNET_BYTES;
    ip[0] = 0x45;
    write16(ip + 2, (uint32_t)(options->size - ETHERNET_BYTES));
    write16(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = IPPROTO_UDP;
    memcpy(ip + 12, &options->inner_src, 4);
    memcpy(ip + 16, &options->inner_dst, 4);
    write16(ip + 10, (uint16_t)~fold(sum16(ip, IPV4_BYTES, 0)));
    uint8_t *udp = ip + IPV4_BYTES;
    uint32_t udp_bytes = (uint32_t)(options->size - ETHERNET_BYTES - IPV4_BYTES);
    write16(udp + 2, options->inner_port);
    write16(udp + 4, udp_bytes);
    return sum16(ip + 12, 8, IPPROTO_UDP + udp_bytes) + options->inner_port + udp_bytes;
}

static void finish(uint8_t *datagram, uint32_t constant_sum, uint16_t source_port, struct probe probe) {
    uint8_t *udp = datagram + VXLAN_BYTES + ETHERNET_BYTES + IPV4_BYTES;
    write16(udp, source_port);
    memcpy(udp + UDP_BYTES, &probe, sizeof probe);
    uint16_t sum = fold(sum16(udp + UDP_BYTES, sizeof probe, constant_sum + source_port));
    write16(udp + 6, sum == 0xffff ? 0xffff : (uint16_t)~sum);
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
    int flow = 0;
    for (int due; (due = pacer_due(&pacer)) > 0;) {
        if (due > per_call) due = per_call;
        for (int i = 0; i < due; i++) {
            struct probe probe = { PROBE_MAGIC, (uint32_t)flow, sequences[flow] + (uint64_t)i };
            finish(parts[i].iov_base, constant_sum, (uint16_t)(20000 + flow), probe);
        }
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
