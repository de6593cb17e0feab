/*
 * tap-send: frames out of an overlay device, past the IP stack, so that their destination MACs are free to choose: one
 * given, or at random one of N made-up ones. They carry udp-send's probe; udp-sink counts them, on the underlay too.
 * With --tunnels N each batch goes out of the next of N devices.
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static uint8_t frames[BATCH][MAX_FRAME];
static struct sockaddr_ll devices[MAX_TUNNELS];

static void find_devices(const struct options *options) {
    for (int n = 0; n < options->tunnels; n++) {
        char name[IF_NAMESIZE + 8];
        if (options->tunnels == 1) snprintf(name, sizeof name, "%s", options->dev);
        else snprintf(name, sizeof name, "%.8s%d", options->dev, n + 1);
        devices[n] = (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name) };
        if (devices[n].sll_ifindex == 0) die(name);
    }
}

int tap_send(const struct options *options) {
    if (!options->dev) {
        fprintf(stderr, "load: tap-send needs --dev\n");
        return 1;
    }
    /* Protocol 0: it sends only, so no received frame is ever queued for it. */
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd < 0) die("socket");
    find_devices(options);
    /* A bound socket need not look its device up for each frame. */
    int is_bound = options->tunnels == 1;
    if (is_bound && bind(fd, (struct sockaddr *)&devices[0], sizeof devices[0]) < 0) die(options->dev);
    set_option(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1, "PACKET_QDISC_BYPASS");
    set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20, "SO_SNDBUFFORCE");

    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH] = { 0 };
    uint32_t constant_sum = 0, random = 1;
    for (int i = 0; i < BATCH; i++) {
        constant_sum = frame_template(options, frames[i]);
        parts[i] = (struct iovec){ frames[i], (size_t)options->size };
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
        if (!is_bound) messages[i].msg_hdr.msg_namelen = sizeof devices[0];
    }
    uint64_t errors = 0;
    int tunnel = 0;
    struct pacer pacer = pacer_start(options);
    for (int due; (due = pacer_due(&pacer)) > 0;) {
        uint64_t now = now_ns();
        for (int i = 0; i < due; i++) {
            struct probe probe = { PROBE_MAGIC, 0, pacer.sent + (uint64_t)i, (uint32_t)now };
            frame_finish(frames[i], constant_sum, 20000, probe);
            if (!is_bound) messages[i].msg_hdr.msg_name = &devices[tunnel];
            if (options->macs) write_made_up_mac(frames[i], next_random(&random) % options->macs);
        }
        tunnel = (tunnel + 1) % options->tunnels;
        for (int done = 0; done < due;) {
            int sent = sendmmsg(fd, messages + done, (unsigned)(due - done), 0);
            if (sent < 0) {
                /* A full device queue drops the frame, as it would behind a network card. */
                if (errno != ENOBUFS && errno != EAGAIN) die("sendmmsg");
                errors++;
                sent = 1;
            }
            done += sent;
        }
        pacer.sent += (uint64_t)due;
    }
    double seconds = (double)(now_ns() - pacer.start_ns) / 1e9;
    printf("{\"sent\":%lu,\"seconds\":%.6f,\"errors\":%lu}\n", pacer.sent, seconds, errors);
    return 0;
}
