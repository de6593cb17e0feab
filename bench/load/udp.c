/* udp-send: an open-loop generator, by sendmmsg, or with --gso by one UDP_SEGMENT send of up to 64 datagrams. */
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

enum { MAX_GSO_BYTES = 65507 };

/* Datagrams lie back to back, so that a run of them is also one buffer for UDP_SEGMENT. */
static uint8_t payloads[BATCH * MAX_FRAME];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

/* The simple IMIX: seven small, four middle, one large, spread over the twelve. Bytes of the Ethernet frame. */
static int imix_frame(uint64_t sequence, int large) {
    static const int pattern[12] = { 64, 576, 64, 64, 576, 64, 0, 64, 576, 64, 576, 64 };
    int frame = pattern[sequence % 12];
    return frame == 0 ? large : frame;
}

static int send_batch(const struct options *options, int fd, int due) {
    if (!options->gso) return sendmmsg(fd, messages, (unsigned)due, 0);
    return send(fd, payloads, (size_t)due * parts[0].iov_len, 0) < 0 ? -1 : due;
}

int udp_send(const struct options *options) {
    int sockets[MAX_FLOWS];
    uint64_t sequences[MAX_FLOWS] = { 0 };
    int length = options->size - FRAME_OVERHEAD;
    int per_call = options->gso && MAX_GSO_BYTES / length < BATCH ? MAX_GSO_BYTES / length : BATCH;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = options->to, .sin_port = htons(options->port) };
    for (int flow = 0; flow < options->flows; flow++) {
        int fd = sockets[flow] = socket(AF_INET, SOCK_DGRAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
        set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20, "SO_SNDBUFFORCE");
        if (options->gso) set_option(fd, IPPROTO_UDP, UDP_SEGMENT, length, "UDP_SEGMENT");
    }
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){ payloads + (size_t)i * (size_t)length, (size_t)length };
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
    }

    uint64_t errors = 0, bytes = 0;
    struct pacer pacer = pacer_start(options);
    int flow = 0;
    for (int due; (due = pacer_due(&pacer)) > 0;) {
        if (due > per_call) due = per_call;
        uint64_t now = now_ns();
        for (int i = 0; i < due; i++) {
            struct probe probe = { PROBE_MAGIC, (uint32_t)flow, sequences[flow] + (uint64_t)i, (uint32_t)now };
            memcpy(parts[i].iov_base, &probe, sizeof probe);
            if (options->imix) parts[i].iov_len = (size_t)(imix_frame(pacer.sent + (uint64_t)i, options->size) - FRAME_OVERHEAD);
        }
        int sent = send_batch(options, sockets[flow], due);
        if (sent < 0) {
            /* ECONNREFUSED tells of an earlier datagram; the next call sends. */
            errors++;
            if (errno != ECONNREFUSED && errno != ENOBUFS && errno != EAGAIN) die("send");
            continue;
        }
        for (int i = 0; i < sent; i++) bytes += parts[i].iov_len + FRAME_OVERHEAD;
        sequences[flow] += (uint64_t)sent;
        pacer.sent += (uint64_t)sent;
        flow = (flow + 1) % options->flows;
    }
    double seconds = (double)(now_ns() - pacer.start_ns) / 1e9;
    printf("{\"sent\":%lu,\"bytes\":%lu,\"seconds\":%.6f,\"errors\":%lu}\n", pacer.sent, bytes, seconds, errors);
    return 0;
}
