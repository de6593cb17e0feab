/* What the parts of `load` share: command-line values, clocks, pacing, the test payload. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <stdint.h>

enum {
    BATCH = 64,
    MAX_FLOWS = 256,
    MAX_TUNNELS = 8192,
    ETHERNET_BYTES = 14,
    IPV4_BYTES = 20,
    UDP_BYTES = 8,
    /* Everything of an overlay frame that is not UDP payload. */
    FRAME_OVERHEAD = ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES,
    MAX_FRAME = 9014,
};

struct options {
    struct in_addr to;
    uint16_t port;
    int size;          /* bytes of the Ethernet frame inside the overlay, without FCS */
    double rate;       /* frames per second; 0 = as fast as it goes */
    double seconds;
    int flows;
    const char *proto; /* "tcp" or "udp" */
    int count;         /* round trips, or the most frames that are sent; 0 = no limit but the time */
    int warmup;
    uint32_t vni;
    uint8_t inner_src_mac[6], inner_dst_mac[6];
    struct in_addr inner_src, inner_dst;
    uint16_t inner_port;
    int gso;           /* hand 64 datagrams at a time to the kernel by UDP_SEGMENT */
    int imix;          /* frames of 64, 576 and `size` bytes, 7:4:1 */
    int skip;          /* bytes in front of the probe: 50 when VXLAN datagrams are counted on the underlay */
    uint32_t macs;     /* number of different MACs that are made up; 0 = the one given */
    int tunnels;       /* each call sends into the next of so many: VNIs from `vni` on, devices `dev`1, `dev`2, ...; 1 = only `vni`, `dev` */
    const char *dev, *peer;
    double loss, reorder; /* share of the frames, 0..1 */
};

/* First bytes of every test payload, host order and one clock: both ends are one machine. Packed, to fit 64-byte frames. */
struct __attribute__((packed)) probe {
    uint32_t magic, flow;
    uint64_t sequence;
    uint32_t sent_ns;  /* low half of now_ns() */
};
#define PROBE_MAGIC 0x76746570u

/* Open-loop pacing: how many frames are due. */
struct pacer {
    double rate;
    uint64_t start_ns, end_ns, sent;
    uint64_t most; /* frames; 0 = no limit but the time */
};

struct options parse_options(int argc, char **argv);
void die(const char *what) __attribute__((noreturn));
void set_option(int fd, int level, int name, int value, const char *what);

uint64_t now_ns(void);
struct pacer pacer_start(const struct options *options);
/* Sleeps until at least one frame is due. Returns how many may be sent now, at most BATCH; 0 = time or count is over. */
int pacer_due(struct pacer *pacer);

/* The n-th made-up MAC, 02:10:00:nn:nn:nn. */
void write_made_up_mac(uint8_t *mac, uint32_t n);
/* A small fast generator of random numbers; the state must not be 0. */
uint32_t next_random(uint32_t *state);

/* Writes an Ethernet/IPv4/UDP frame but for source port, probe and UDP checksum. Returns the sum of all that is constant. */
uint32_t frame_template(const struct options *options, uint8_t *frame);
/* Writes what `frame_template` left out. */
void frame_finish(uint8_t *frame, uint32_t constant_sum, uint16_t source_port, struct probe probe);

int udp_send(const struct options *options);
int udp_sink(const struct options *options);
int vxlan_send(const struct options *options);
int tap_send(const struct options *options);
int relay(const struct options *options);
int rr_server(const struct options *options);
int rr_client(const struct options *options);

#endif
