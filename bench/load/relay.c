/*
 * relay: a bad wire. Carries frames between two devices of one host, both ways, drops some at random and delivers some
 * late: a held frame goes out after HELD_FOR later ones of its direction, or after a millisecond without any.
 * Works on whole frames, so no device on the way may merge or segment: the underlay must be wire-like.
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { HELD_FOR = 3 };

struct direction {
    int from, to;
    uint64_t carried, dropped, reordered, refused;
    uint8_t held[MAX_FRAME + 64];
    ssize_t held_bytes; /* 0 = none */
    int held_for;
};

static uint8_t frames[BATCH][MAX_FRAME + 64];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];
static volatile sig_atomic_t stopping;

static void on_signal(int signal) {
    (void)signal;
    stopping = 1;
}

static int open_device(const char *name) {
    struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
    address.sll_ifindex = (int)if_nametoindex(name);
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd < 0 || address.sll_ifindex == 0) die(name);
    set_option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING");
    set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20, "SO_RCVBUFFORCE");
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die(name);
    struct packet_mreq promiscuous = { .mr_ifindex = address.sll_ifindex, .mr_type = PACKET_MR_PROMISC };
    if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) < 0) die("promiscuous");
    return fd;
}

static void deliver(struct direction *way, const void *frame, size_t length) {
    if (send(way->to, frame, length, 0) < 0) way->refused++;
    else way->carried++;
}

static void release(struct direction *way) {
    if (way->held_bytes == 0) return;
    deliver(way, way->held, (size_t)way->held_bytes);
    way->held_bytes = 0;
}

static int chance(uint32_t *random, double share) {
    return next_random(random) < share * 4294967295.0;
}

static void carry(struct direction *way, const struct options *options, uint32_t *random) {
    for (int i = 0; i < BATCH; i++) parts[i].iov_len = sizeof frames[i];
    int count = recvmmsg(way->from, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        size_t length = messages[i].msg_len;
        if (chance(random, options->loss)) {
            way->dropped++;
            continue;
        }
        if (way->held_bytes == 0 && chance(random, options->reorder)) {
            memcpy(way->held, frames[i], length);
            way->held_bytes = (ssize_t)length;
            way->held_for = HELD_FOR;
            way->reordered++;
            continue;
        }
        deliver(way, frames[i], length);
        if (way->held_bytes > 0 && --way->held_for == 0) release(way);
    }
}

int relay(const struct options *options) {
    if (!options->dev || !options->peer) {
        fprintf(stderr, "load: relay needs --dev and --peer\n");
        return 1;
    }
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){ frames[i], sizeof frames[i] };
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
    }
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    static struct direction ways[2];
    ways[0].from = ways[1].to = open_device(options->dev);
    ways[0].to = ways[1].from = open_device(options->peer);
    uint32_t random = 1;
    puts("ready");
    fflush(stdout);
    while (!stopping) {
        struct pollfd fds[2] = { { ways[0].from, POLLIN, 0 }, { ways[1].from, POLLIN, 0 } };
        int waits = ways[0].held_bytes > 0 || ways[1].held_bytes > 0;
        int ready = poll(fds, 2, waits ? 1 : 100);
        for (int i = 0; i < 2; i++) {
            if (ready > 0 && fds[i].revents) carry(&ways[i], options, &random);
            else release(&ways[i]);
        }
    }
    printf("{\"carried\":%lu,\"dropped\":%lu,\"reordered\":%lu,\"refused\":%lu}\n", ways[0].carried + ways[1].carried,
           ways[0].dropped + ways[1].dropped, ways[0].reordered + ways[1].reordered, ways[0].refused + ways[1].refused);
    return 0;
}
