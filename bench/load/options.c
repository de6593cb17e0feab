/* The command line of `load`: one table for all verbs, checked for range, not for need. */
#include "load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TO = 256, PORT, SIZE, RATE, SECONDS, FLOWS, PROTO, COUNT, WARMUP, VNI, SRC_MAC, DST_MAC, SRC, DST, INNER_PORT, GSO,
       IMIX, SKIP, MACS, TUNNELS, DEV, PEER, LOSS, REORDER };

static const struct option known[] = {
    { "to", required_argument, NULL, TO },
    { "port", required_argument, NULL, PORT },
    { "size", required_argument, NULL, SIZE },
    { "rate", required_argument, NULL, RATE },
    { "seconds", required_argument, NULL, SECONDS },
    { "flows", required_argument, NULL, FLOWS },
    { "proto", required_argument, NULL, PROTO },
    { "count", required_argument, NULL, COUNT },
    { "warmup", required_argument, NULL, WARMUP },
    { "vni", required_argument, NULL, VNI },
    { "inner-src-mac", required_argument, NULL, SRC_MAC },
    { "inner-dst-mac", required_argument, NULL, DST_MAC },
    { "inner-src", required_argument, NULL, SRC },
    { "inner-dst", required_argument, NULL, DST },
    { "inner-port", required_argument, NULL, INNER_PORT },
    { "gso", no_argument, NULL, GSO },
    { "imix", no_argument, NULL, IMIX },
    { "skip", required_argument, NULL, SKIP },
    { "macs", required_argument, NULL, MACS },
    { "tunnels", required_argument, NULL, TUNNELS },
    { "dev", required_argument, NULL, DEV },
    { "peer", required_argument, NULL, PEER },
    { "loss", required_argument, NULL, LOSS },
    { "reorder", required_argument, NULL, REORDER },
    { NULL, 0, NULL, 0 },
};

static void refuse(const char *name, const char *expected) {
    fprintf(stderr, "load: --%s: expected %s, got %s\n", name, expected, optarg);
    exit(1);
}

static double number(const char *name, double min, double max) {
    char *end;
    double value = strtod(optarg, &end);
    if (*optarg == 0 || *end != 0 || !(value >= min && value <= max)) {
        char expected[64];
        snprintf(expected, sizeof expected, "%.0f..%.0f", min, max);
        refuse(name, expected);
    }
    return value;
}

static struct in_addr address(const char *name) {
    struct in_addr result;
    if (inet_pton(AF_INET, optarg, &result) != 1) refuse(name, "an IPv4 address");
    return result;
}

static void mac(const char *name, uint8_t *to) {
    if (sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", to, to + 1, to + 2, to + 3, to + 4, to + 5) != 6) refuse(name, "a MAC");
}

struct options parse_options(int argc, char **argv) {
    struct options options = { .size = 64, .seconds = 1, .flows = 1, .proto = "udp", .warmup = 500, .tunnels = 1 };
    int index = 0;
    for (int option; (option = getopt_long(argc, argv, "", known, &index)) != -1;) {
        const char *name = known[index].name;
        switch (option) {
        case TO: options.to = address(name); break;
        case PORT: options.port = (uint16_t)number(name, 1, 65535); break;
        case SIZE: options.size = (int)number(name, FRAME_OVERHEAD + sizeof(struct probe), MAX_FRAME); break;
        case RATE: options.rate = number(name, 0, 1e8); break;
        case SECONDS: options.seconds = number(name, 0.01, 3600); break;
        case FLOWS: options.flows = (int)number(name, 1, MAX_FLOWS); break;
        case PROTO:
            if (strcmp(optarg, "tcp") != 0 && strcmp(optarg, "udp") != 0) refuse(name, "tcp or udp");
            options.proto = optarg;
            break;
        case COUNT: options.count = (int)number(name, 1, 1e7); break;
        case WARMUP: options.warmup = (int)number(name, 0, 1e7); break;
        case VNI: options.vni = (uint32_t)number(name, 0, 0xffffff); break;
        case SRC_MAC: mac(name, options.inner_src_mac); break;
        case DST_MAC: mac(name, options.inner_dst_mac); break;
        case SRC: options.inner_src = address(name); break;
        case DST: options.inner_dst = address(name); break;
        case INNER_PORT: options.inner_port = (uint16_t)number(name, 1, 65535); break;
        case GSO: options.gso = 1; break;
        case IMIX: options.imix = 1; break;
        case SKIP: options.skip = (int)number(name, 0, 1024); break;
        case MACS: options.macs = (uint32_t)number(name, 0, 1 << 24); break;
        case TUNNELS: options.tunnels = (int)number(name, 1, MAX_TUNNELS); break;
        case DEV: options.dev = optarg; break;
        case PEER: options.peer = optarg; break;
        case LOSS: options.loss = number(name, 0, 1); break;
        case REORDER: options.reorder = number(name, 0, 1); break;
        default: exit(1);
        }
    }
    return options;
}
