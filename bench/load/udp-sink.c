/*
 * udp-sink: counts probes, sees loss and reordering per flow, and how long each was on its way (one clock serves both
 * ends). With --skip the probe lies deeper: a sink on the VXLAN port of the underlay counts what a VTEP sent.
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Delays: 32 buckets per power of two, so a percentile is at most 3 % off. */
enum { FINE_BITS = 5, BUCKETS = (32 - FINE_BITS + 1) << FINE_BITS };

static uint8_t payloads[BATCH][MAX_FRAME];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];
static uint64_t delays[BUCKETS];
static volatile sig_atomic_t stopping;

static void on_signal(int signal) {
    (void)signal;
    stopping = 1;
}

static unsigned bucket_of(uint32_t delay_ns) {
    if (delay_ns < 1u << FINE_BITS) return delay_ns;
    unsigned shift = 31u - (unsigned)__builtin_clz(delay_ns) - FINE_BITS;
    return ((shift + 1) << FINE_BITS) + ((delay_ns >> shift) & ((1u << FINE_BITS) - 1));
}

static double bucket_us(unsigned bucket) {
    if (bucket < 1u << FINE_BITS) return bucket / 1000.0;
    unsigned shift = (bucket >> FINE_BITS) - 1;
    return (double)((uint64_t)((1u << FINE_BITS) + (bucket & ((1u << FINE_BITS) - 1))) << shift) / 1000.0;
}

static double percentile_us(double share, uint64_t count) {
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        seen += delays[bucket];
        if (seen > 0 && (double)seen >= share * (double)count) return bucket_us(bucket);
    }
    return 0;
}

static int open_sink(const struct options *options) {
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
    return fd;
}

int udp_sink(const struct options *options) {
    int fd = open_sink(options);
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){ payloads[i], MAX_FRAME };
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
    }
    uint64_t received = 0, bytes = 0, reordered = 0, foreign = 0;
    uint64_t expected[MAX_FLOWS] = { 0 };
    uint32_t overflow = 0;
    size_t skip = (size_t)options->skip;
    puts("ready");
    fflush(stdout);
    while (!stopping) {
        /* The overflow counter only grows, so one look per batch is enough: at the first message. */
        char control[64];
        messages[0].msg_hdr.msg_control = control;
        messages[0].msg_hdr.msg_controllen = sizeof control;
        int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        if (count <= 0) continue;
        uint32_t now = (uint32_t)now_ns();
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&messages[0].msg_hdr); c; c = CMSG_NXTHDR(&messages[0].msg_hdr, c)) {
            if (c->cmsg_type == SO_RXQ_OVFL) memcpy(&overflow, CMSG_DATA(c), sizeof overflow);
        }
        for (int i = 0; i < count; i++) {
            struct probe probe;
            size_t length = messages[i].msg_len;
            memcpy(&probe, payloads[i] + skip, sizeof probe);
            if (length < skip + sizeof probe || probe.magic != PROBE_MAGIC || probe.flow >= MAX_FLOWS) {
                foreign++;
                continue;
            }
            received++;
            bytes += length - skip + FRAME_OVERHEAD;
            delays[bucket_of(now - probe.sent_ns)]++;
            if (probe.sequence < expected[probe.flow]) reordered++;
            else expected[probe.flow] = probe.sequence + 1;
        }
    }
    printf("{\"received\":%lu,\"bytes\":%lu,\"reordered\":%lu,\"foreign\":%lu,\"sinkOverflow\":%u,\"p50Us\":%.2f,"
           "\"p99Us\":%.2f,\"p999Us\":%.2f}\n",
           received, bytes, reordered, foreign, overflow, percentile_us(0.5, received), percentile_us(0.99, received),
           percentile_us(0.999, received));
    return 0;
}
