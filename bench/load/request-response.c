/*
 * rr-server and rr-client: one byte there, one byte back, one at a time, `count` times or for `seconds`, whichever is
 * over first. What is timed is the whole round trip.
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;

static void on_signal(int signal) {
    (void)signal;
    stopping = 1;
}

/* Serves TCP (one client at a time) and UDP on the same port number. */
int rr_server(const struct options *options) {
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(options->port) };
    int listener = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), client = -1;
    if (listener < 0 || udp < 0) die("socket");
    set_option(listener, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
    if (bind(listener, (struct sockaddr *)&any, sizeof any) < 0 || listen(listener, 1) < 0) die("listen");
    if (bind(udp, (struct sockaddr *)&any, sizeof any) < 0) die("bind");
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    puts("ready");
    fflush(stdout);
    while (!stopping) {
        struct pollfd fds[3] = { { listener, POLLIN, 0 }, { udp, POLLIN, 0 }, { client, POLLIN, 0 } };
        if (poll(fds, 3, 100) <= 0) continue;
        char data[64];
        if (fds[0].revents && client < 0) {
            client = accept(listener, NULL, NULL);
            if (client >= 0) set_option(client, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
        }
        if (fds[1].revents) {
            struct sockaddr_in from;
            socklen_t from_bytes = sizeof from;
            ssize_t length = recvfrom(udp, data, sizeof data, 0, (struct sockaddr *)&from, &from_bytes);
            if (length > 0 && sendto(udp, data, (size_t)length, 0, (struct sockaddr *)&from, from_bytes) < 0) die("sendto");
        }
        if (client >= 0 && fds[2].revents) {
            ssize_t length = read(client, data, sizeof data);
            if (length <= 0 || write(client, data, (size_t)length) < 0) {
                close(client);
                client = -1;
            }
        }
    }
    return 0;
}

static int compare(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

int rr_client(const struct options *options) {
    if (options->count == 0) {
        fprintf(stderr, "load: rr-client needs --count\n");
        return 1;
    }
    int is_tcp = strcmp(options->proto, "tcp") == 0;
    int fd = socket(AF_INET, is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = options->to, .sin_port = htons(options->port) };
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
    if (is_tcp) set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
    struct timeval patience = { 1, 0 };
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) die("SO_RCVTIMEO");

    uint32_t *times_ns = malloc(sizeof *times_ns * (size_t)options->count);
    if (!times_ns) die("malloc");
    int measured = 0, lost = 0;
    double total_ns = 0;
    uint64_t begin = 0;
    uint8_t byte = 0;
    uint64_t limit_ns = (uint64_t)(options->seconds * 1e9);
    for (int i = -options->warmup; i < options->count; i++) {
        uint64_t start = now_ns();
        if (i == 0) begin = start;
        if (i > 0 && start - begin >= limit_ns) break;
        byte++;
        if (send(fd, &byte, 1, 0) != 1) die("send");
        uint8_t answer;
        ssize_t length;
        do {
            /* An answer that comes after its time must not be taken for the next one's. */
            length = recv(fd, &answer, 1, 0);
        } while (length == 1 && answer != byte);
        if (length != 1) {
            if (is_tcp || (errno != EAGAIN && errno != ECONNREFUSED)) die("recv");
            if (++lost > 20) die("20 answers lost");
            continue;
        }
        if (i < 0) continue;
        uint64_t took = now_ns() - start;
        times_ns[measured++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
        total_ns += (double)took;
    }
    double seconds = (double)(now_ns() - begin) / 1e9;
    if (measured == 0) die("no answer");
    qsort(times_ns, (size_t)measured, sizeof *times_ns, compare);
#define PERCENTILE_US(p) ((double)times_ns[(size_t)((double)(measured - 1) * (p))] / 1000.0)
    printf("{\"count\":%d,\"lost\":%d,\"seconds\":%.6f,\"minUs\":%.2f,\"meanUs\":%.2f,\"p50Us\":%.2f,\"p99Us\":%.2f,"
           "\"p999Us\":%.2f,\"maxUs\":%.2f}\n",
           measured, lost, seconds, PERCENTILE_US(0.0), total_ns / measured / 1000.0, PERCENTILE_US(0.5), PERCENTILE_US(0.99),
           PERCENTILE_US(0.999), PERCENTILE_US(1.0));
    return 0;
}
