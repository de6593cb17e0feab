/* An Ethernet/IPv4/UDP frame with correct checksums, made once and finished per frame; made-up MACs to go into it. */
#include "load.h"

#include <string.h>

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

uint32_t frame_template(const struct options *options, uint8_t *frame) {
    memset(frame, 0, (size_t)options->size);
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
    /* Pseudo header, destination port and length; the bytes behind the probe are zero. */
    return sum16(ip + 12, 8, IPPROTO_UDP + udp_bytes) + options->inner_port + udp_bytes;
}

void frame_finish(uint8_t *frame, uint32_t constant_sum, uint16_t source_port, struct probe probe) {
    uint8_t *udp = frame + ETHERNET_BYTES + IPV4_BYTES;
    write16(udp, source_port);
    memcpy(udp + UDP_BYTES, &probe, sizeof probe);
    uint16_t sum = fold(sum16(udp + UDP_BYTES, sizeof probe, constant_sum + source_port));
    write16(udp + 6, sum == 0xffff ? 0xffff : (uint16_t)~sum);
}

void write_made_up_mac(uint8_t *mac, uint32_t n) {
    mac[0] = 0x02;
    mac[1] = 0x10;
    mac[2] = 0;
    mac[3] = (uint8_t)(n >> 16);
    mac[4] = (uint8_t)(n >> 8);
    mac[5] = (uint8_t)n;
}

uint32_t next_random(uint32_t *state) {
    /* xorshift32, Marsaglia 2003. */
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}
