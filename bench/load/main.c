/*
 * Load for the system benchmarks: an open-loop UDP generator and its sink, a generator of ready-made VXLAN datagrams, and
 * a request/response pair. Each prints one line of JSON on stdout; what waits for others prints "ready" first.
 *
 *   load udp-send --to IP --port P --size N --rate PPS --seconds S [--flows F] [--gso | --imix]
 *   load udp-sink --port P [--skip BYTES]                         until SIGTERM
 *   load vxlan-send --to IP --port P --vni V --inner-src-mac M --inner-dst-mac M --inner-src IP --inner-dst IP
 *                   --inner-port P --size N --rate PPS --seconds S [--flows F] [--gso] [--macs N]
 *   load tap-send --dev NAME --inner-src-mac M --inner-dst-mac M --inner-src IP --inner-dst IP --inner-port P
 *                 --size N --rate PPS --seconds S [--macs N]
 *   load relay --dev NAME --peer NAME [--loss SHARE] [--reorder SHARE]  until SIGTERM
 *   load rr-server --port P                                       until SIGTERM
 *   load rr-client --proto tcp|udp --to IP --port P --count N --seconds S [--warmup N]
 *
 * --size is always the length of the Ethernet frame inside the overlay, without FCS: 64 means 22 bytes of UDP payload.
 * --rate 0 means as fast as it goes. --count N ends a generator after N frames, if --seconds does
 * not end it before; SIGTERM does, too.
 */
#include "load.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

void set_option(int fd, int level, int name, int value, const char *what) {
    if (setsockopt(fd, level, name, &value, sizeof value) < 0) die(what);
}

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static volatile sig_atomic_t stopping;

static void on_signal(int signal) {
    (void)signal;
    stopping = 1;
}

struct pacer pacer_start(const struct options *options) {
    /* The default slack of 50 us would turn a steady rate into bursts. */
    prctl(PR_SET_TIMERSLACK, 1);
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGTERM, &action, NULL);
    uint64_t start = now_ns();
    return (struct pacer){ options->rate, start, start + (uint64_t)(options->seconds * 1e9), 0, (uint64_t)options->count };
}

int pacer_due(struct pacer *pacer) {
    for (;;) {
        uint64_t now = now_ns();
        if (now >= pacer->end_ns || stopping) return 0;
        uint64_t left = pacer->most == 0 ? BATCH : pacer->most > pacer->sent ? pacer->most - pacer->sent : 0;
        if (left == 0) return 0;
        int room = left < BATCH ? (int)left : BATCH;
        if (pacer->rate == 0) return room;
        uint64_t due = (uint64_t)((double)(now - pacer->start_ns) * pacer->rate / 1e9);
        if (due > pacer->sent) {
            uint64_t owed = due - pacer->sent;
            return owed < (uint64_t)room ? (int)owed : room;
        }
        /* Not shorter than 50 us: at high rates a few frames per wake-up cost less than a wake-up per frame. */
        uint64_t pause = (uint64_t)(1e9 / pacer->rate);
        struct timespec time = { 0, (long)(pause < 50000 ? 50000 : pause > 1000000 ? 1000000 : pause) };
        nanosleep(&time, NULL);
    }
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(const struct options *);
    } verbs[] = {
        { "udp-send", udp_send },   { "udp-sink", udp_sink },   { "vxlan-send", vxlan_send },
        { "rr-server", rr_server }, { "rr-client", rr_client }, { "tap-send", tap_send },
        { "relay", relay },
    };
    if (argc > 1) {
        for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
            if (strcmp(argv[1], verbs[i].name) != 0) continue;
            struct options options = parse_options(argc - 1, argv + 1);
            return verbs[i].run(&options);
        }
    }
    fprintf(stderr, "usage: load udp-send|udp-sink|vxlan-send|tap-send|rr-server|rr-client|relay OPTIONS\n");
    return 1;
}
