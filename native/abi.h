// Every layout that TypeScript and the addon share: the C++ half of src/binding/abi.ts, where each word is explained.
// test/native/abi.test.ts compares the two through the `abi` object that abi-object.cc exports: change both or neither.
//
// All shared memory is in host byte order except where a comment says network order. Offsets of the named constants
// count 32-bit words unless the name ends in BYTES.
#ifndef VTEPD_ABI_H_
#define VTEPD_ABI_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

namespace vtepd::abi {

inline constexpr int32_t BATCH_FRAMES = 256;
inline constexpr int32_t HELD_FRAMES = 32;
inline constexpr int32_t FRAME_ROWS = BATCH_FRAMES + HELD_FRAMES;

// Arena. The odd number of 64-byte cache lines keeps the first lines of the slots out of one cache set.
inline constexpr int32_t TAP_SLOTS = 64;
inline constexpr int32_t UDP_SLOTS = 64;
inline constexpr int32_t SLOT_BYTES = 1041 * 64;
inline constexpr int32_t SLOT_HEADROOM = 64;
inline constexpr int32_t ARENA_BYTES = (TAP_SLOTS + UDP_SLOTS + HELD_FRAMES) * SLOT_BYTES;
inline constexpr int32_t VNET_HEADER_BYTES = 12;
inline constexpr int32_t TUNNEL_VNET_HEADER_BYTES = 24;

// Frame descriptor.
inline constexpr int32_t FRAME_WORDS = 32;
inline constexpr int32_t FRAME_PORT = 0;
inline constexpr int32_t FRAME_OFFSET = 1;
inline constexpr int32_t FRAME_LENGTH = 2;
inline constexpr int32_t FRAME_FLAGS = 3;
inline constexpr int32_t FRAME_DST_HI = 4;
inline constexpr int32_t FRAME_DST_LO = 5;
inline constexpr int32_t FRAME_SRC_HI = 6;
inline constexpr int32_t FRAME_SRC_LO = 7;
inline constexpr int32_t FRAME_FLOW_HASH = 8;
inline constexpr int32_t FRAME_CSUM = 9;
inline constexpr int32_t FRAME_GSO = 10;
inline constexpr int32_t FRAME_HEADERS = 11;
inline constexpr int32_t FRAME_SOURCE = 12;
inline constexpr int32_t FRAME_DESTINATION = 16;
inline constexpr int32_t FRAME_SOURCE_PORT = 20;
inline constexpr int32_t FRAME_HEADER_OFFSET = 21;
inline constexpr int32_t FRAME_DATAGRAM_LENGTH = 22;
inline constexpr int32_t FRAME_TOS = 23;
inline constexpr int32_t FRAME_SEGMENTS = 24;
inline constexpr int32_t FRAME_INNER_IP = 25;
inline constexpr int32_t FRAME_VERDICT = 26;
inline constexpr int32_t FRAME_TARGET = 27;
inline constexpr int32_t FRAME_BD = 28;
inline constexpr int32_t FRAME_ASSOCIATION = 29;
inline constexpr int32_t FRAME_REASON = 30;

inline constexpr int32_t FLAG_PARTIAL_CSUM = 1;
inline constexpr int32_t FLAG_IPV4 = 2;
inline constexpr int32_t FLAG_IPV6 = 4;
inline constexpr int32_t FLAG_TCP = 8;
inline constexpr int32_t FLAG_UDP = 16;
inline constexpr int32_t FLAG_FRAGMENT = 32;
inline constexpr int32_t FLAG_TRUNCATED = 64;
inline constexpr int32_t FLAG_VLAN = 128;
inline constexpr int32_t FLAG_BAD_OUTER_CSUM = 256;
inline constexpr int32_t FLAG_IP_PACKET = 512;

inline constexpr int32_t INNER_DF = 1 << 24;

inline constexpr int32_t GSO_TCPV4 = 1;
inline constexpr int32_t GSO_TCPV6 = 4;
inline constexpr int32_t GSO_UDP_L4 = 5;

// Action.
inline constexpr int32_t ACTION_WORDS = 8;
inline constexpr int32_t MAX_ACTIONS = 1024;
inline constexpr int32_t ACTION_PORT = 0;
inline constexpr int32_t ACTION_FRAME = 1;
inline constexpr int32_t ACTION_TEMPLATE = 2;
inline constexpr int32_t ACTION_TEMPLATE_LENGTH = 3;
inline constexpr int32_t ACTION_VTEP = 4;
inline constexpr int32_t ACTION_RESULT = 5;
inline constexpr int32_t ACTION_OUTER = 6;
inline constexpr int32_t ACTION_BD = 7;

inline constexpr int32_t OUTER_TOS = 1 << 16;
inline constexpr int32_t OUTER_TTL = 1 << 17;
inline constexpr int32_t OUTER_DF = 1 << 18;
inline constexpr int32_t OUTER_GRE_CHECKSUM = 1 << 19;
inline constexpr int32_t OUTER_GRE_SEQUENCE = 1 << 20;
inline constexpr int32_t OUTER_FLOW_LABEL = 1 << 21;

inline constexpr int32_t VTEP_ADDRESS_BYTES = 32;

// Status words.
inline constexpr int32_t STATUS_WORDS = 16;
inline constexpr int32_t STATUS_NOW_S = 0;
inline constexpr int32_t STATUS_WOKEN = 1;
inline constexpr int32_t STATUS_GONE = 2;
inline constexpr int32_t STATUS_RX_OVERFLOW = 3;
inline constexpr int32_t STATUS_RX_ERRORS = 4;
inline constexpr int32_t STATUS_GSO_REFUSED = 5;
inline constexpr int32_t STATUS_GSO_LOST = 6;
inline constexpr int32_t STATUS_NOW_MS = 7;

inline constexpr int32_t PORT_TAP = 1;
inline constexpr int32_t PORT_UDP_RX = 2;
inline constexpr int32_t PORT_UDP_TX = 3;
inline constexpr int32_t PORT_TAP_TX = 4;
inline constexpr int32_t PORT_UPLINK = 5;
inline constexpr int32_t PORT_PACKET_RX = 6;
inline constexpr int32_t FEATURE_VNET_HEADER = 1;
inline constexpr int32_t FEATURE_SEGMENT = 2;
inline constexpr int32_t FEATURE_MERGE_TCP = 4;
inline constexpr int32_t FEATURE_MERGE_UDP = 8;
inline constexpr int32_t MAX_PORTS = 32768;

// Header layout: where the overlay frame begins in a datagram.
inline constexpr int32_t HEADER_BASE_MASK = 0xff;
inline constexpr int32_t HEADER_FLAGS_SHIFT = 8;
inline constexpr int32_t HEADER_FLAGS_MASK = 0xff << HEADER_FLAGS_SHIFT;
inline constexpr int32_t HEADER_UNITS_SHIFT = 16;
inline constexpr int32_t HEADER_UNITS_MASK = 0xff << HEADER_UNITS_SHIFT;
inline constexpr int32_t HEADER_PAYLOAD_MASK = 3 << 24;
inline constexpr int32_t HEADER_PAYLOAD_ETHERNET = 0;
inline constexpr int32_t HEADER_PAYLOAD_IP = 1 << 24;
inline constexpr int32_t HEADER_PAYLOAD_ETHERTYPE = 2 << 24;
inline constexpr int32_t HEADER_PAYLOAD_SEALED = 3 << 24;
inline constexpr int32_t HEADER_PREFIX_SHIFT = 26;
inline constexpr int32_t HEADER_PREFIX_MASK = 15 << HEADER_PREFIX_SHIFT;
inline constexpr int32_t HEADER_CHECKSUM = 1 << 30;

// Security associations of ESP: a row for each outbound one by bridge domain, then the rows.
inline constexpr int32_t ASSOCIATION_DOMAINS = 8192;
inline constexpr int32_t ASSOCIATION_INBOUND = 2048;
inline constexpr int32_t ASSOCIATION_ROWS = 4096;
inline constexpr int32_t ASSOCIATION_PLACES = 8;
inline constexpr int32_t ASSOCIATION_WORDS = 64;
inline constexpr int32_t ASSOCIATION_TABLE_WORDS = ASSOCIATION_DOMAINS + ASSOCIATION_ROWS * ASSOCIATION_WORDS;
inline constexpr int32_t ASSOCIATION_GENERATION = 0;
inline constexpr int32_t ASSOCIATION_SPI = 1;
inline constexpr int32_t ASSOCIATION_IS_EXTENDED = 2;
inline constexpr int32_t ASSOCIATION_BD = 3;
inline constexpr int32_t ASSOCIATION_WINDOW = 4;
inline constexpr int32_t ASSOCIATION_KEY_BYTES = 5;
inline constexpr int32_t ASSOCIATION_KEY = 6;
inline constexpr int32_t ASSOCIATION_SALT = 14;
inline constexpr int32_t ASSOCIATION_LOCK = 15;
inline constexpr int32_t ASSOCIATION_SEQUENCE = 16;
inline constexpr int32_t ASSOCIATION_IV = 18;
inline constexpr int32_t ASSOCIATION_BITMAP = 32;
inline constexpr int32_t ASSOCIATION_MAX_WINDOW = 1024;

// FRAME_ASSOCIATION of a datagram that could not be opened.
inline constexpr int32_t ESP_TRUNCATED = -1;
inline constexpr int32_t ESP_UNKNOWN = -2;
inline constexpr int32_t ESP_REPLAYED = -3;
inline constexpr int32_t ESP_FORGED = -4;
inline constexpr int32_t ESP_INVALID = -5;
inline constexpr int32_t ESP_UNHANDLED = -6;

struct Frame {
  int32_t port;
  int32_t offset;
  int32_t length;
  int32_t flags;
  int32_t dst_hi;
  int32_t dst_lo;
  int32_t src_hi;
  int32_t src_lo;
  int32_t flow_hash;
  int32_t csum;
  int32_t gso;
  int32_t headers;
  uint8_t source[16];       // Network order.
  uint8_t destination[16];  // Network order.
  int32_t source_port;
  int32_t header_offset;
  int32_t datagram_length;
  int32_t tos;
  int32_t segments;
  int32_t inner_ip;
  int32_t owned_by_data_plane[3];
  int32_t association;
  int32_t unused[2];
};

struct Action {
  int32_t port;
  int32_t frame;
  int32_t template_offset;
  int32_t template_length;
  int32_t vtep;
  int32_t result;
  int32_t outer;
  int32_t bd;
};

// Written by the main thread before its generation is; lock, sequence, words[0..] of the bitmap also by workers.
struct Association {
  int32_t generation;  // 0: nothing here.
  int32_t spi;
  int32_t is_extended;
  int32_t bd;
  int32_t window;     // Inbound: numbers below the highest that are still taken; 0 takes all.
  int32_t key_bytes;  // 16 or 32.
  uint8_t key[32];
  uint8_t salt[4];
  int32_t lock;
  uint64_t sequence;  // Outbound: the last that was sent. Inbound: the highest that was taken.
  uint64_t iv;        // Outbound: what sequence numbers are mixed with to make initialisation vectors.
  int32_t unused[12];
  uint64_t bitmap[ASSOCIATION_MAX_WINDOW / 64];  // Inbound: of the sequence numbers, modulo its size, that were taken.
};

// struct virtio_net_hdr_mrg_rxbuf: what stands before every frame on a TAP descriptor. Host order, as TUNSETVNETLE is
// never used.
struct VnetHeader {
  uint8_t flags;
  uint8_t gso_type;
  uint16_t hdr_len;
  uint16_t gso_size;
  uint16_t csum_start;
  uint16_t csum_offset;
  uint16_t num_buffers;
};

// struct virtio_net_hdr_v1_hash_tunnel: the same on an uplink.
struct TunnelVnetHeader {
  uint8_t flags;
  uint8_t gso_type;
  uint16_t hdr_len;
  uint16_t gso_size;
  uint16_t csum_start;
  uint16_t csum_offset;
  uint16_t num_buffers;
  uint32_t hash_value;
  uint16_t hash_report;
  uint16_t padding;
  uint16_t outer_th_offset;
  uint16_t inner_nh_offset;
};

#define VTEPD_AT(type, field, word) static_assert(offsetof(type, field) == (word) * sizeof(int32_t))
VTEPD_AT(Frame, port, FRAME_PORT);
VTEPD_AT(Frame, offset, FRAME_OFFSET);
VTEPD_AT(Frame, length, FRAME_LENGTH);
VTEPD_AT(Frame, flags, FRAME_FLAGS);
VTEPD_AT(Frame, dst_hi, FRAME_DST_HI);
VTEPD_AT(Frame, dst_lo, FRAME_DST_LO);
VTEPD_AT(Frame, src_hi, FRAME_SRC_HI);
VTEPD_AT(Frame, src_lo, FRAME_SRC_LO);
VTEPD_AT(Frame, flow_hash, FRAME_FLOW_HASH);
VTEPD_AT(Frame, csum, FRAME_CSUM);
VTEPD_AT(Frame, gso, FRAME_GSO);
VTEPD_AT(Frame, headers, FRAME_HEADERS);
VTEPD_AT(Frame, source, FRAME_SOURCE);
VTEPD_AT(Frame, destination, FRAME_DESTINATION);
VTEPD_AT(Frame, source_port, FRAME_SOURCE_PORT);
VTEPD_AT(Frame, header_offset, FRAME_HEADER_OFFSET);
VTEPD_AT(Frame, datagram_length, FRAME_DATAGRAM_LENGTH);
VTEPD_AT(Frame, tos, FRAME_TOS);
VTEPD_AT(Frame, segments, FRAME_SEGMENTS);
VTEPD_AT(Frame, inner_ip, FRAME_INNER_IP);
VTEPD_AT(Frame, owned_by_data_plane, FRAME_VERDICT);
VTEPD_AT(Action, port, ACTION_PORT);
VTEPD_AT(Action, frame, ACTION_FRAME);
VTEPD_AT(Action, template_offset, ACTION_TEMPLATE);
VTEPD_AT(Action, template_length, ACTION_TEMPLATE_LENGTH);
VTEPD_AT(Action, vtep, ACTION_VTEP);
VTEPD_AT(Action, result, ACTION_RESULT);
VTEPD_AT(Action, outer, ACTION_OUTER);
VTEPD_AT(Frame, association, FRAME_ASSOCIATION);
VTEPD_AT(Action, bd, ACTION_BD);
VTEPD_AT(Association, generation, ASSOCIATION_GENERATION);
VTEPD_AT(Association, spi, ASSOCIATION_SPI);
VTEPD_AT(Association, is_extended, ASSOCIATION_IS_EXTENDED);
VTEPD_AT(Association, bd, ASSOCIATION_BD);
VTEPD_AT(Association, window, ASSOCIATION_WINDOW);
VTEPD_AT(Association, key_bytes, ASSOCIATION_KEY_BYTES);
VTEPD_AT(Association, key, ASSOCIATION_KEY);
VTEPD_AT(Association, salt, ASSOCIATION_SALT);
VTEPD_AT(Association, lock, ASSOCIATION_LOCK);
VTEPD_AT(Association, sequence, ASSOCIATION_SEQUENCE);
VTEPD_AT(Association, iv, ASSOCIATION_IV);
VTEPD_AT(Association, bitmap, ASSOCIATION_BITMAP);
#undef VTEPD_AT

static_assert(sizeof(Frame) == FRAME_WORDS * sizeof(int32_t));
static_assert(sizeof(Action) == ACTION_WORDS * sizeof(int32_t));
static_assert(sizeof(Association) == ASSOCIATION_WORDS * sizeof(int32_t));
static_assert(sizeof(VnetHeader) == VNET_HEADER_BYTES && VNET_HEADER_BYTES <= SLOT_HEADROOM);
static_assert(sizeof(TunnelVnetHeader) == TUNNEL_VNET_HEADER_BYTES);
static_assert(offsetof(TunnelVnetHeader, outer_th_offset) == 20);
static_assert(offsetof(VnetHeader, csum_start) == 6 && offsetof(VnetHeader, num_buffers) == 10);
static_assert(SLOT_BYTES % 64 == 0 && SLOT_BYTES / 64 % 2 == 1);
// The largest UDP payload is 65527 bytes (IPv6), the largest TAP frame 65535 and an Ethernet header with two tags.
static_assert(SLOT_BYTES - SLOT_HEADROOM >= 65535 + 22);
static_assert(FRAME_DESTINATION == FRAME_SOURCE + 4 && FRAME_SOURCE_PORT == FRAME_DESTINATION + 4);
static_assert(FRAME_TARGET == FRAME_VERDICT + 1 && FRAME_BD < FRAME_ASSOCIATION && FRAME_ASSOCIATION < FRAME_REASON &&
              FRAME_REASON < FRAME_WORDS);
static_assert(STATUS_NOW_MS < STATUS_WORDS);

// The VTEP address table holds sockaddrs as the kernel takes them; TypeScript writes them by byte offset.
static_assert(offsetof(sockaddr_in, sin_family) == 0 && sizeof(sa_family_t) == 2);
static_assert(offsetof(sockaddr_in, sin_port) == 2 && offsetof(sockaddr_in, sin_addr) == 4);
static_assert(offsetof(sockaddr_in6, sin6_port) == 2 && offsetof(sockaddr_in6, sin6_flowinfo) == 4);
static_assert(offsetof(sockaddr_in6, sin6_addr) == 8 && offsetof(sockaddr_in6, sin6_scope_id) == 24);
static_assert(sizeof(sockaddr_in6) <= VTEP_ADDRESS_BYTES && sizeof(sockaddr_in) <= VTEP_ADDRESS_BYTES);

}  // namespace vtepd::abi

#endif  // VTEPD_ABI_H_
