/* udp-send and udp-sink: an open-loop generator and a counter that sees loss and reordering per flow. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t payloads[BATCH][MAX_FRAME];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

static void prepare(size_t length) {
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){ payloads[i], length };
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
    }
}

int udp_send(const struct options *options) {
    int sockets[MAX_FLOWS];
    uint64_t sequences[MAX_FLOWS] = { 0 };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = options->to, .sin_port = htons(options->port) };
    for (int flow = 0; flow < options->flows; flow++) {
        int fd = sockets[flow] = socket(AF_INET, SOCK_DGRAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
        set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20, "SO_SNDBUFFORCE");
    }
    prepare((size_t)(options->size - FRAME_OVERHEAD));

    uint64_t errors = 0;
    struct pacer pacer = pacer_start(options);
    int flow = 0;
    for (int due; (due = pacer_due(&pacer)) > 0;) {
        for (int i = 0; i < due; i++) {
            struct probe probe = { PROBE_MAGIC, (uint32_t)flow, sequences[flow] + (uint64_t)i };
            memcpy(payloads[i], &probe, sizeof probe);
        }
        int sent = sendmmsg(sockets[flow], messages, (unsigned)due, 0);
        if (sent < 0) {
            /* ECONNREFUSED tells of an earlier datagram; the next call sends. */
            errors++;
            if (errno != ECONNREFUSED && errno != ENOBUFS && errno != EAGAIN) die("sendmmsg");
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

static volatile sig_atomic_t stopping;

static void on_signal(int signal) {
    (void)signal;
    stopping = 1;
}

int udp_sink(const struct options *options) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(options->port) };
    if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) < 0) die("bind");
    set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20, "SO_RCVBUFFORCE");
    set_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1, "SO_RXQ_OVFL");
    /* So that a signal between the test of `stopping` and the receive is seen in time. */
    struct timeval patience = { 0, 50000 };
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) die("SO_RCVTIMEO");
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    prepare(MAX_FRAME);

    uint64_t received = 0, bytes = 0, reordered = 0, foreign = 0, first_ns = 0, last_ns = 0;
    uint64_t expected[MAX_FLOWS] = { 0 };
    uint32_t overflow = 0;
    puts("ready");
    fflush(stdout);
    while (!stopping) {
        /* The overflow counter only grows, so one look per batch is enough: at the first message. */
        char control[64];
        messages[0].msg_hdr.msg_control = control;
        messages[0].msg_hdr.msg_controllen = sizeof control;
        int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        if (count <= 0) continue;
        last_ns = now_ns();
        if (first_ns == 0) first_ns = last_ns;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&messages[0].msg_hdr); c; c = CMSG_NXTHDR(&messages[0].msg_hdr, c)) {
            if (c->cmsg_type == SO_RXQ_OVFL) memcpy(&overflow, CMSG_DATA(c), sizeof overflow);
        }
        for (int i = 0; i < count; i++) {
            struct probe probe;
            memcpy(&probe, payloads[i], sizeof probe);
            if (messages[i].msg_len < sizeof probe || probe.magic != PROBE_MAGIC || probe.flow >= MAX_FLOWS) {
                foreign++;
                continue;
            }
            received++;
            bytes += messages[i].msg_len + FRAME_OVERHEAD;
            if (probe.sequence < expected[probe.flow]) reordered++;
            else expected[probe.flow] = probe.sequence + 1;
        }
    }
    uint64_t known = 0;
    for (int flow = 0; flow < MAX_FLOWS; flow++) known += expected[flow];
    printf("{\"received\":%lu,\"bytes\":%lu,\"lost\":%lu,\"reordered\":%lu,\"foreign\":%lu,\"sinkOverflow\":%u,"
           "\"firstNs\":%lu,\"lastNs\":%lu}\n",
           received, bytes, known > received ? known - received : 0, reordered, foreign, overflow, first_ns, last_ns);
    return 0;
}
