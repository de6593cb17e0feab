/**
 * Every layout that TypeScript and the addon share. `native/abi.h` says the same with static_asserts, and
 * test/native/abi.test.ts compares the two through the addon's `abi` object: change both or neither.
 *
 * All shared memory is a SharedArrayBuffer made here and passed once as a typed array (the addon keeps the pointer and a
 * reference). Unless it says bytes, an offset counts 32-bit words of an Int32Array.
 */

/** Frames one `receive` can return: what TAP_SLOTS reads and some of the datagrams of UDP_SLOTS messages make. */
export const BATCH_FRAMES = 256;
/** Frames that the data plane keeps from one batch to others, each with a descriptor behind the batch's and a slot behind all others. */
export const HELD_FRAMES = 32;
export const FRAME_ROWS: number = BATCH_FRAMES + HELD_FRAMES;

/**
 * Arena: first TAP_SLOTS slots for frames read from TAPs, then UDP_SLOTS for received messages (with UDP_GRO a message holds
 * many datagrams). A slot holds the largest thing the kernel can hand over (64 KiB and headers); its size is an odd
 * number of cache lines, so that the first lines of the slots do not fall into one cache set.
 */
export const TAP_SLOTS = 64;
export const UDP_SLOTS = 64;
export const SLOT_BYTES: number = 1041 * 64;
/** Bytes before the data in each slot: room for the vnet header that a TAP read puts in front. */
export const SLOT_HEADROOM = 64;
export const ARENA_BYTES: number = (TAP_SLOTS + UDP_SLOTS + HELD_FRAMES) * SLOT_BYTES;

/** `struct virtio_net_hdr_mrg_rxbuf`, what TAPs here are set to (TUNSETVNETHDRSZ). Bytes. */
export const VNET_HEADER_BYTES = 12;
/** `struct virtio_net_hdr_v1_hash_tunnel`, what an uplink is set to. Bytes. */
export const TUNNEL_VNET_HEADER_BYTES = 24;

// Frame descriptor: written by `receive`, read by the data plane.
export const FRAME_WORDS = 32;
/** Id of the port the frame came from, as given to `Io.add`. */
export const FRAME_PORT = 0;
/** Byte offset in the arena of the overlay frame's first byte: its Ethernet header, or its IP header with FLAG_IP_PACKET. */
export const FRAME_OFFSET = 1;
/** Bytes of the overlay frame, a superframe's whole; below 0 when the datagram is shorter than the port's header. */
export const FRAME_LENGTH = 2;
/** FLAG_* bits. */
export const FRAME_FLAGS = 3;
/** Destination and source MAC, big-endian: the first two bytes as 0..65535, the last four as an int32. Valid when FRAME_LENGTH >= 14; 0 with FLAG_IP_PACKET. */
export const FRAME_DST_HI = 4;
export const FRAME_DST_LO = 5;
export const FRAME_SRC_HI = 6;
export const FRAME_SRC_LO = 7;
/** TAP only: hash of the inner flow (addresses, protocol, ports where it has them), any int32. */
export const FRAME_FLOW_HASH = 8;
/** With FLAG_PARTIAL_CSUM: csum_start | csum_offset << 16, bytes from the frame's start. */
export const FRAME_CSUM = 9;
/** gso_size | gso_type << 16; 0 = not a superframe. The data plane may set it before `send`. */
export const FRAME_GSO = 10;
/** TCP and UDP only, else 0: bytes of all headers to the payload | offset of the IP header << 16. */
export const FRAME_HEADERS = 11;
/** UDP only, words 12..15: outer source address, 16 bytes in network order, IPv4 as ::ffff:a.b.c.d. */
export const FRAME_SOURCE = 12;
/** UDP only, words 16..19: outer destination address, same form; from IP_PKTINFO / IPV6_PKTINFO, else zeros. */
export const FRAME_DESTINATION = 16;
/** UDP only: outer source port, host order. */
export const FRAME_SOURCE_PORT = 20;
/** UDP only: byte offset in the arena of the datagram's first byte (the tunnel header). */
export const FRAME_HEADER_OFFSET = 21;
/** UDP only: bytes of the whole datagram. */
export const FRAME_DATAGRAM_LENGTH = 22;
/** UDP only: outer TOS / traffic class, 0 when the socket does not ask for it. */
export const FRAME_TOS = 23;
/** Frames on the wire that this one stands for: 1, or the segments of a superframe. */
export const FRAME_SEGMENTS = 24;
/**
 * The frame's own IP header: TOS or traffic class | TTL or hop limit << 8 | its offset in the frame << 16 | INNER_DF. 0 when
 * the frame has none, which FLAG_IPV4 and FLAG_IPV6 say: with FLAG_IP_PACKET the word of a header may be 0 too.
 */
export const FRAME_INNER_IP = 25;
/** Owned by the data plane; the addon never touches these. */
export const FRAME_VERDICT = 26;
export const FRAME_TARGET = 27;
export const FRAME_BD = 28;
/** Of a datagram from a port with HEADER_PAYLOAD_SEALED: the row of its association + 1, or ESP_* when it could not be opened. */
export const FRAME_ASSOCIATION = 29;
/** Owned by the data plane: why the frame was dropped. Read only while a capture runs, which clears it first. */
export const FRAME_REASON = 30;

/** In FRAME_INNER_IP: nobody may fragment the packet (IPv4 with DF, all IPv6). */
export const INNER_DF: number = 1 << 24;

/**
 * The TCP or UDP checksum field holds only the pseudo-header sum: a sender left the rest to its device, or several frames
 * were merged here. FRAME_CSUM says where; `send` to a socket completes it, `send` to a TAP tells the kernel to.
 */
export const FLAG_PARTIAL_CSUM = 1;
export const FLAG_IPV4 = 2;
export const FLAG_IPV6 = 4;
export const FLAG_TCP = 8;
export const FLAG_UDP = 16;
/** Any IP fragment, first or later. Of a datagram of no bytes: FRAME_SEGMENTS packets were given up whose fragments did not all come, or did not fit together. */
export const FLAG_FRAGMENT = 32;
/** The datagram was longer than a slot and is cut. */
export const FLAG_TRUNCATED = 64;
/** An 802.1Q or 802.1ad tag is present. */
export const FLAG_VLAN = 128;
/** PACKET_RX: the checksum of the outer IPv4 header or of UDP is wrong; a UDP socket never hands such a datagram over. With HEADER_CHECKSUM: GRE's is. */
export const FLAG_BAD_OUTER_CSUM = 256;
/** The frame has no Ethernet header: it begins with an IPv4 or IPv6 header, or should; its first four bits tell. */
export const FLAG_IP_PACKET = 512;

/** `virtio_net_hdr.gso_type` values used. */
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
export const GSO_UDP_L4 = 5;

// Action: written by the data plane, one per copy to be sent; `send` fills in ACTION_RESULT.
export const ACTION_WORDS = 8;
export const MAX_ACTIONS = 1024;
/** Id of the port to send from. */
export const ACTION_PORT = 0;
/** Index of the frame descriptor whose bytes are sent. */
export const ACTION_FRAME = 1;
/** UDP, UPLINK: byte offset in the templates of what goes before the frame, and its length in bytes. */
export const ACTION_TEMPLATE = 2;
export const ACTION_TEMPLATE_LENGTH = 3;
/** UDP only: slot of the destination in the VTEP address table. */
export const ACTION_VTEP = 4;
/** 0 = sent, else the errno. */
export const ACTION_RESULT = 5;
/** UDP, UPLINK: TOS | TTL << 8 of the outer header, each only with its OUTER_* bit; 0 = what the socket or template has. */
export const ACTION_OUTER = 6;
/** Owned by the data plane: bridge domain the copy is counted on. */
export const ACTION_BD = 7;

/** In ACTION_OUTER. */
export const OUTER_TOS: number = 1 << 16;
export const OUTER_TTL: number = 1 << 17;
/** UPLINK: set DF. A socket has DF or not, so the data plane chooses the port. */
export const OUTER_DF: number = 1 << 18;
/**
 * UDP: the GRE checksum (RFC 2784) of each datagram is written to bytes 4 and 5 behind the prefix (HEADER_PREFIX of the
 * port) and covers all from there. The template is only read: each datagram gets a copy. EINVAL for a template that is
 * too short for it, or odd.
 */
export const OUTER_GRE_CHECKSUM: number = 1 << 19;
/** UDP: the last 4 bytes of the template are GRE's sequence number (RFC 2890): 0, 1, 2, ... of the port's datagrams. */
export const OUTER_GRE_SEQUENCE: number = 1 << 20;
/** UDP, over IPv6: the flow label is that of the frame's own IPv6 header, where it has one that is not 0. */
export const OUTER_FLOW_LABEL: number = 1 << 21;

/**
 * VTEP address table: one sockaddr per slot, exactly as the kernel takes it.
 *
 *   byte  0..1 family (host order)   2..3 port (network order)
 *   AF_INET:  4..7 address
 *   AF_INET6: 4..7 flow info   8..23 address   24..27 scope id (host order)
 */
export const VTEP_ADDRESS_BYTES = 32;
export const AF_INET = 2;
export const AF_INET6 = 10;

// Status words, written by `receive`.
export const STATUS_WORDS = 16;
/** CLOCK_MONOTONIC_COARSE seconds at the last return from epoll. */
export const STATUS_NOW_S = 0;
/** Set to 1 when the wake-up eventfd fired; the data plane clears it. */
export const STATUS_WOKEN = 1;
/** Ports whose device vanished and that nobody has collected with `Io.takeGone` yet. */
export const STATUS_GONE = 2;
/** Datagrams the kernel dropped because a receive buffer was full (SO_RXQ_OVFL), all sockets of this Io, modulo 2^32. */
export const STATUS_RX_OVERFLOW = 3;
/** Receives that failed for another reason than "nothing there"; modulo 2^32. */
export const STATUS_RX_ERRORS = 4;
/** Sends with UDP_SEGMENT that the kernel refused and that were repeated datagram by datagram; modulo 2^32. */
export const STATUS_GSO_REFUSED = 5;
/** Sockets on which UDP_SEGMENT was given up, because it was refused again and again. */
export const STATUS_GSO_LOST = 6;
/** The same clock as STATUS_NOW_S in milliseconds, modulo 2^31. */
export const STATUS_NOW_MS = 7;

// Kinds of port for `Io.add`.
export const PORT_TAP = 1;
export const PORT_UDP_RX = 2;
export const PORT_UDP_TX = 3;
/** A TAP queue that another worker polls: only written. */
export const PORT_TAP_TX = 4;
/** A TAP whose frames the host's stack forwards to the underlay: written with outer headers from Ethernet on. */
export const PORT_UPLINK = 5;
/** Receives what is for an address and IP protocol before IP's own sockets do, with superframes as the kernel merged them (native/packet-socket.cc). */
export const PORT_PACKET_RX = 6;
// What a port can do, for `Io.add`: a sum of these.
/** TAP: frames have a vnet header in front. */
export const FEATURE_VNET_HEADER = 1;
/** UDP_TX, UDP_RX: sends may carry many datagrams (UDP_SEGMENT). */
export const FEATURE_SEGMENT = 2;
/** UDP_RX: frames of one TCP flow are merged into superframes. */
export const FEATURE_MERGE_TCP = 4;
/** UDP_RX: frames of one UDP flow too. */
export const FEATURE_MERGE_UDP = 8;
/** Ids given to `Io.add` are below this. */
export const MAX_PORTS = 32768;

/**
 * Header layout, for `Io.add`: where the overlay frame begins in a datagram, as far as the header itself says so. Its
 * length is HEADER_PREFIX + HEADER_BASE + what HEADER_FLAGS and HEADER_UNITS find in the first byte behind the prefix. A
 * plain number of bytes, as 8 for VXLAN, is a layout. Of a TAP only HEADER_PAYLOAD_IP counts: the device is a TUN.
 *
 *   31 30 29     26 25   24 23       16 15        8 7         0
 *    0  C   PREFIX  PAYLOAD    UNITS      FLAGS       BASE
 */
/** Bytes that are always there, the prefix not among them. */
export const HEADER_BASE_MASK = 0xff;
/** Each bit that is set here and in the first byte means 4 bytes more (GRE: 0x80 checksum, 0x20 key, 0x10 sequence number). */
export const HEADER_FLAGS_SHIFT = 8;
export const HEADER_FLAGS_MASK: number = 0xff << HEADER_FLAGS_SHIFT;
/** The first byte masked with this is a number of further units of 4 bytes (Geneve 0x3f, GUE 0x1f). */
export const HEADER_UNITS_SHIFT = 16;
export const HEADER_UNITS_MASK: number = 0xff << HEADER_UNITS_SHIFT;
/**
 * What follows the header. ETHERTYPE: bytes 2 and 3 behind the prefix say; 0x6558 is an Ethernet frame, 0x88be and 0x22eb are
 * one behind an ERSPAN header, all else is an IP packet.
 */
export const HEADER_PAYLOAD_MASK: number = 3 << 24;
export const HEADER_PAYLOAD_ETHERNET = 0;
export const HEADER_PAYLOAD_IP: number = 1 << 24;
export const HEADER_PAYLOAD_ETHERTYPE: number = 2 << 24;
/** An IP packet inside ESP (native/esp.h); the base is 16, and there is nothing else. */
export const HEADER_PAYLOAD_SEALED: number = 3 << 24;
/** Units of 4 bytes in front of what is told above (GUE before GRE). */
export const HEADER_PREFIX_SHIFT = 26;
export const HEADER_PREFIX_MASK: number = 15 << HEADER_PREFIX_SHIFT;
/** Where the first byte has 0x80, a GRE checksum is there and verified: FLAG_BAD_OUTER_CSUM. */
export const HEADER_CHECKSUM: number = 1 << 30;

/**
 * Security associations of ESP (dataplane/association-table.ts): the outbound row of each bridge domain, 0 for none, then
 * rows of ASSOCIATION_WORDS. The first ASSOCIATION_INBOUND rows are inbound ones, each in one of ASSOCIATION_PLACES places
 * by its SPI; row 0 of the outbound ones is not used by any.
 */
export const ASSOCIATION_DOMAINS = 8192;
export const ASSOCIATION_INBOUND = 2048;
export const ASSOCIATION_ROWS = 4096;
export const ASSOCIATION_PLACES = 8;
export const ASSOCIATION_WORDS = 64;
export const ASSOCIATION_TABLE_WORDS: number = ASSOCIATION_DOMAINS + ASSOCIATION_ROWS * ASSOCIATION_WORDS;
/** 0 = nothing here; else a number that no row had before. Written last. */
export const ASSOCIATION_GENERATION = 0;
export const ASSOCIATION_SPI = 1;
/** 1 = sequence numbers of 64 bits. */
export const ASSOCIATION_IS_EXTENDED = 2;
export const ASSOCIATION_BD = 3;
/** Sequence numbers below the highest that are still taken; 0 = no protection against replays. */
export const ASSOCIATION_WINDOW = 4;
/** 16 or 32. */
export const ASSOCIATION_KEY_BYTES = 5;
export const ASSOCIATION_KEY = 6;
export const ASSOCIATION_SALT = 14;
/** Workers'. */
export const ASSOCIATION_LOCK = 15;
/** 64 bits: the last that was sent, or the highest that was taken. */
export const ASSOCIATION_SEQUENCE = 16;
/** 64 bits: what outbound sequence numbers are mixed with (exclusive or) to make initialisation vectors. */
export const ASSOCIATION_IV = 18;
/** Workers'. */
export const ASSOCIATION_BITMAP = 32;
/** Bits of the bitmap. */
export const ASSOCIATION_MAX_WINDOW = 1024;

/** FRAME_ASSOCIATION of what could not be opened: too short; no association has its SPI; its number was taken or is too old; not genuine; its padding is longer than it; neither IPv4 nor IPv6 inside. */
export const ESP_TRUNCATED: number = -1;
export const ESP_UNKNOWN: number = -2;
export const ESP_REPLAYED: number = -3;
export const ESP_FORGED: number = -4;
export const ESP_INVALID: number = -5;
export const ESP_UNHANDLED: number = -6;
