/**
 * Superframes as a TAP with TSO and USO hands them over: lengths of the whole, and only the pseudo-header sum in the
 * checksum field. Made from test/support/frame-builder.ts and what it does not have: IPv4 options and IPv6 extensions.
 */
import fc from "fast-check";
import {
  type FlowFields,
  MAC_A,
  MAC_B,
  onesComplementSum,
  TCP_ACK,
  type TcpFields,
  tcpFrame,
  udpFrame,
} from "../support/frame-builder.ts";

export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
export const GSO_UDP_L4 = 5;
export const GSO_ECN = 0x80;
export const GSO_ACCECN = 0x10;

export const TCP_FIN = 0x01;
export const TCP_PSH = 0x08;
export const TCP_CWR = 0x80;

export interface SuperframeFields extends Partial<TcpFields> {
  readonly family?: 4 | 6;
  readonly protocol?: "tcp" | "udp";
  /** Bytes; default 3000. */
  readonly payloadLength?: number;
  /** A multiple of 4 bytes. */
  readonly ipv4Options?: readonly number[];
  /** Whole headers in order, each 8n bytes with its own type in front; the next-header fields are filled in. */
  readonly ipv6Extensions?: readonly { readonly type: number; readonly bytes: readonly number[] }[];
  /** Beside the type. */
  readonly gsoBits?: number;
}

export interface Superframe {
  readonly bytes: Uint8Array;
  readonly gsoType: number;
  readonly ipOffset: number;
  readonly transportOffset: number;
  /** Of the checksum field in the TCP or UDP header. */
  readonly csumOffset: number;
  /** Bytes of all headers. */
  readonly headerLength: number;
}

const FLOW = { dst: MAC_B, src: MAC_A, srcPort: 40000, dstPort: 5001, checksum: "partial" as const };
const IPV4_FLOW = { ...FLOW, srcIp: "192.0.2.1", dstIp: "192.0.2.2" };
const IPV6_FLOW = { ...FLOW, srcIp: "2001:db8::1", dstIp: "2001:db8::2" };

/** Not periodic in any power of two, so that a wrong offset shows. */
export const payloadOf = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) * 13 + 1) & 0xff);

const insertIpv4Options = (frame: Uint8Array, ip: number, options: readonly number[]): Uint8Array => {
  const bytes = Buffer.concat([frame.subarray(0, ip + 20), Uint8Array.from(options), frame.subarray(ip + 20)]);
  bytes[ip]! += options.length / 4;
  bytes.writeUInt16BE(bytes.length - ip, ip + 2);
  bytes.writeUInt16BE(0, ip + 10);
  bytes.writeUInt16BE(~onesComplementSum(bytes.subarray(ip, ip + 20 + options.length)) & 0xffff, ip + 10);
  return bytes;
};

const insertIpv6Extensions = (
  frame: Uint8Array,
  ip: number,
  extensions: NonNullable<SuperframeFields["ipv6Extensions"]>,
): Uint8Array => {
  const headers = extensions.map(({ bytes }) => Uint8Array.from(bytes));
  const protocol = frame[ip + 6]!;
  headers.forEach((header, i) => {
    header[0] = extensions[i + 1]?.type ?? protocol;
  });
  const bytes = Buffer.concat([frame.subarray(0, ip + 40), ...headers, frame.subarray(ip + 40)]);
  bytes[ip + 6] = extensions[0]?.type ?? protocol;
  bytes.writeUInt16BE(bytes.length - ip - 40, ip + 4);
  return bytes;
};

/** The defaults are TCP over IPv4, ACK alone, id 0, DF. */
export const superframe = (fields: SuperframeFields = {}): Superframe => {
  const { family = 4, protocol = "tcp", ipv4Options = [], ipv6Extensions = [], gsoBits = 0 } = fields;
  const payload = fields.payload ?? payloadOf(fields.payloadLength ?? 3000);
  const flow: FlowFields = { ...(family === 4 ? IPV4_FLOW : IPV6_FLOW), ...fields, payload };
  const plain = protocol === "tcp" ? tcpFrame({ flags: TCP_ACK, ...flow }) : udpFrame(flow);
  const ipOffset = 14 + 4 * (fields.vlans?.length ?? 0);
  const bytes =
    family === 4
      ? insertIpv4Options(plain, ipOffset, ipv4Options)
      : insertIpv6Extensions(plain, ipOffset, ipv6Extensions);
  const headerLength = bytes.length - payload.length;
  const transportLength = protocol === "tcp" ? 20 + (fields.options?.length ?? 0) : 8;
  const tcpType = family === 4 ? GSO_TCPV4 : GSO_TCPV6;
  return {
    bytes,
    gsoType: (protocol === "tcp" ? tcpType : GSO_UDP_L4) | gsoBits,
    ipOffset,
    transportOffset: headerLength - transportLength,
    csumOffset: protocol === "tcp" ? 16 : 6,
    headerLength,
  };
};

const TIMESTAMPS = Uint8Array.of(1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2);
const ROUTER_ALERT = [0x94, 4, 0, 0];
const HOP_BY_HOP = { type: 0, bytes: [0, 0, 1, 4, 0, 0, 0, 0] };
const DESTINATION_OPTIONS = { type: 60, bytes: [0, 1, 1, 12, ...new Array<number>(12).fill(0)] };

/** One of each kind that is split, by name; the kernel and we shall agree on every one. */
export const SUPERFRAMES: readonly [string, Superframe, gsoSize: number][] = [
  ["TCP over IPv4", superframe(), 1000],
  ["TCP with a short tail", superframe({ payloadLength: 3001 }), 1000],
  ["TCP with a tail of one byte and odd segments", superframe({ payloadLength: 2 * 999 + 1 }), 999],
  ["TCP with timestamps", superframe({ options: TIMESTAMPS, seq: 7, ack: 9 }), 1388],
  ["TCP without DF, the id wrapping", superframe({ dontFragment: false, id: 0xfffe, payloadLength: 5000 }), 1000],
  ["TCP with DF, the id wrapping", superframe({ dontFragment: true, id: 0xffff }), 1000],
  ["TCP with the sequence number wrapping", superframe({ seq: 0xfffffc00 }), 1000],
  ["TCP with FIN and PSH", superframe({ flags: TCP_ACK | TCP_FIN | TCP_PSH }), 1000],
  ["TCP with CWR", superframe({ flags: TCP_ACK | TCP_CWR, gsoBits: GSO_ECN, tos: 2 }), 1000],
  ["TCP with CWR, the ECN bit not set", superframe({ flags: TCP_ACK | TCP_CWR, tos: 2 }), 1000],
  ["TCP with all of FIN, PSH and CWR", superframe({ flags: 0x99, gsoBits: GSO_ECN }), 700],
  ["TCP behind IPv4 options", superframe({ ipv4Options: ROUTER_ALERT, options: TIMESTAMPS }), 1000],
  ["TCP behind a VLAN tag", superframe({ vlans: [42] }), 1000],
  ["TCP behind two VLAN tags", superframe({ vlans: [7, 42], options: TIMESTAMPS }), 1000],
  ["TCP over IPv6", superframe({ family: 6, payloadLength: 3001 }), 1000],
  ["TCP over IPv6 with timestamps and flags", superframe({ family: 6, flags: 0x99, options: TIMESTAMPS }), 1428],
  ["TCP over IPv6 behind a VLAN tag", superframe({ family: 6, vlans: [42] }), 1000],
  ["TCP behind hop-by-hop options", superframe({ family: 6, ipv6Extensions: [HOP_BY_HOP] }), 1000],
  [
    "TCP behind two extension headers",
    superframe({ family: 6, ipv6Extensions: [HOP_BY_HOP, DESTINATION_OPTIONS], options: TIMESTAMPS }),
    1000,
  ],
  ["UDP over IPv4", superframe({ protocol: "udp", id: 0xfffe }), 1000],
  ["UDP with a short tail", superframe({ protocol: "udp", payloadLength: 3333 }), 1000],
  ["UDP behind IPv4 options", superframe({ protocol: "udp", ipv4Options: ROUTER_ALERT }), 1000],
  ["UDP over IPv6", superframe({ protocol: "udp", family: 6, payloadLength: 3001 }), 1000],
  ["UDP behind extension headers", superframe({ protocol: "udp", family: 6, ipv6Extensions: [HOP_BY_HOP] }), 1000],
  ["UDP behind a VLAN tag", superframe({ protocol: "udp", vlans: [42] }), 1000],
  ["a superframe of the greatest length", superframe({ payloadLength: 65535 - 40 }), 1448],
  ["a UDP superframe of the greatest length", superframe({ protocol: "udp", payloadLength: 128 * 500 }), 500],
];

const PADDING_OPTIONS = [0, 60].map((type) => ({ type, bytes: [0, 0, 1, 4, 0, 0, 0, 0] }));
/** Any flags but SYN, RST and URG. */
const SEGMENTED_FLAGS = 0xd9;

/** Any superframe of up to 5000 bytes. */
export const superframeArbitrary: fc.Arbitrary<Superframe> = fc
  .record({
    family: fc.constantFrom(4 as const, 6 as const),
    protocol: fc.constantFrom("tcp" as const, "udp" as const),
    payload: fc.uint8Array({ minLength: 1, maxLength: 5000, size: "max" }),
    vlans: fc.array(fc.nat(4094), { maxLength: 2 }),
    options: fc.nat(10).map((words) => payloadOf(words * 4)),
    ipv4Options: fc.nat(10).map((words) => new Array<number>(words * 4).fill(1)),
    ipv6Extensions: fc.array(fc.constantFrom(...PADDING_OPTIONS), { maxLength: 3 }),
    flags: fc.nat(0xff).map((flags) => flags & SEGMENTED_FLAGS),
    seq: fc.nat(0xffffffff),
    id: fc.nat(0xffff),
    tos: fc.nat(0xff),
    dontFragment: fc.boolean(),
  })
  .map(superframe);
