/**
 * Builds overlay frames and VXLAN datagrams for tests, byte for byte as a well-behaved sender makes them. It shares no
 * code with src/wire/, so the two check each other. All numbers that travel are big-endian; lengths are bytes.
 *
 * Every header is written into a buffer filled with 0xa5 first: a field that the builder forgets shows.
 */
import ipaddr from "ipaddr.js";

/** Locally administered MACs for stations A to D. */
export const MAC_A = "02:00:00:00:00:0a";
export const MAC_B = "02:00:00:00:00:0b";
export const MAC_BROADCAST = "ff:ff:ff:ff:ff:ff";
export const MAC_MULTICAST = "01:00:5e:00:00:fb";

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_QINQ = 0x88a8;
export const ETHERTYPE_IPV6 = 0x86dd;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

export const TCP_SYN = 0x02;
export const TCP_ACK = 0x10;

/** `full`: correct. `partial`: only the pseudo-header sum, as a sender with checksum offload leaves it. `zero`: none (UDP). */
export type ChecksumKind = "full" | "partial" | "zero";

const POISON = 0xa5;
const poisoned = (length: number): Buffer => Buffer.alloc(length, POISON);
const bytes = (data: Uint8Array | string): Uint8Array => (typeof data === "string" ? Buffer.from(data) : data);

export const macBytes = (mac: string): Uint8Array =>
  Uint8Array.from(mac.split(":"), (part) => Number.parseInt(part, 16));
/** 4 or 16 bytes. */
export const ipBytes = (address: string): Uint8Array => Uint8Array.from(ipaddr.parse(address).toByteArray());

/** Sum of 16-bit words with the carries folded in, not inverted (RFC 1071). An odd last byte is padded with zero. */
export const onesComplementSum = (data: Uint8Array, initial = 0): number => {
  let sum = initial;
  for (let i = 0; i < data.length; i += 2) sum += ((data[i] ?? 0) << 8) | (data[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
};

/** Sum over the pseudo header of RFC 793 / RFC 8200 section 8.1; `length` is that of TCP or UDP header and payload. */
export const pseudoHeaderSum = (srcIp: string, dstIp: string, protocol: number, length: number): number =>
  onesComplementSum(Buffer.concat([ipBytes(srcIp), ipBytes(dstIp)]), protocol + (length >>> 16) + (length & 0xffff));

export interface EthernetFields {
  readonly dst: string;
  readonly src: string;
  readonly etherType: number;
  /** 802.1Q VLAN ids, the outermost first; with two or more the outer ones are 802.1ad. */
  readonly vlans?: readonly number[];
}

/** Ethernet header, tags and payload; no padding, no frame check sequence. */
export const ethernetFrame = (fields: EthernetFields, payload: Uint8Array | string): Uint8Array => {
  const vlans = fields.vlans ?? [];
  const header = poisoned(14 + 4 * vlans.length);
  header.set(macBytes(fields.dst), 0);
  header.set(macBytes(fields.src), 6);
  let offset = 12;
  vlans.forEach((vlan, i) => {
    header.writeUInt16BE(i < vlans.length - 1 ? ETHERTYPE_QINQ : ETHERTYPE_VLAN, offset);
    header.writeUInt16BE(vlan, offset + 2);
    offset += 4;
  });
  header.writeUInt16BE(fields.etherType, offset);
  return Buffer.concat([header, bytes(payload)]);
};

export interface ArpFields {
  readonly operation: "request" | "reply";
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetIp: string;
  /** Default zeros in a request. */
  readonly targetMac?: string;
  /** Ethernet destination; default broadcast for a request, the target for a reply. */
  readonly dst?: string;
  readonly vlans?: readonly number[];
}

/** RFC 826, 42 bytes without tags. */
export const arpFrame = (fields: ArpFields): Uint8Array => {
  const targetMac = fields.targetMac ?? "00:00:00:00:00:00";
  const arp = poisoned(28);
  arp.writeUInt16BE(1, 0);
  arp.writeUInt16BE(ETHERTYPE_IPV4, 2);
  arp[4] = 6;
  arp[5] = 4;
  arp.writeUInt16BE(fields.operation === "request" ? 1 : 2, 6);
  arp.set(macBytes(fields.senderMac), 8);
  arp.set(ipBytes(fields.senderIp), 14);
  arp.set(macBytes(targetMac), 18);
  arp.set(ipBytes(fields.targetIp), 24);
  const dst = fields.dst ?? (fields.operation === "request" ? MAC_BROADCAST : targetMac);
  return ethernetFrame({ dst, src: fields.senderMac, etherType: ETHERTYPE_ARP, vlans: fields.vlans ?? [] }, arp);
};

export interface IpFields {
  readonly srcIp: string;
  readonly dstIp: string;
  /** TOS or traffic class; default 0. */
  readonly tos?: number;
  /** TTL or hop limit; default 64. */
  readonly ttl?: number;
  /** IPv4 identification; default 0. */
  readonly id?: number;
  /** IPv4 DF; default true. */
  readonly dontFragment?: boolean;
  /** IPv4 fragment: offset in bytes (a multiple of 8) and whether more follow. */
  readonly fragment?: { readonly offset: number; readonly more: boolean };
}

/** An IPv4 or IPv6 packet; the address decides. */
export const ipPacket = (fields: IpFields, protocol: number, payload: Uint8Array | string): Uint8Array => {
  const data = bytes(payload);
  if (fields.srcIp.includes(":")) {
    const header = poisoned(40);
    header.writeUInt32BE(((6 << 28) | ((fields.tos ?? 0) << 20)) >>> 0, 0);
    header.writeUInt16BE(data.length, 4);
    header[6] = protocol;
    header[7] = fields.ttl ?? 64;
    header.set(ipBytes(fields.srcIp), 8);
    header.set(ipBytes(fields.dstIp), 24);
    return Buffer.concat([header, data]);
  }
  const header = poisoned(20);
  const fragment = fields.fragment ?? { offset: 0, more: false };
  header[0] = 0x45;
  header[1] = fields.tos ?? 0;
  header.writeUInt16BE(20 + data.length, 2);
  header.writeUInt16BE(fields.id ?? 0, 4);
  const dontFragment = fields.dontFragment ?? fields.fragment === undefined;
  header.writeUInt16BE((dontFragment ? 0x4000 : 0) | (fragment.more ? 0x2000 : 0) | (fragment.offset >> 3), 6);
  header[8] = fields.ttl ?? 64;
  header[9] = protocol;
  header.writeUInt16BE(0, 10);
  header.set(ipBytes(fields.srcIp), 12);
  header.set(ipBytes(fields.dstIp), 16);
  header.writeUInt16BE(~onesComplementSum(header) & 0xffff, 10);
  return Buffer.concat([header, data]);
};

export interface FlowFields extends IpFields {
  readonly dst: string;
  readonly src: string;
  readonly vlans?: readonly number[];
  readonly srcPort: number;
  readonly dstPort: number;
  readonly payload?: Uint8Array | string;
  /** Default "full". */
  readonly checksum?: ChecksumKind;
}

const ipFrame = (fields: FlowFields, protocol: number, segment: Uint8Array): Uint8Array => {
  const etherType = fields.srcIp.includes(":") ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
  const { dst, src, vlans = [] } = fields;
  return ethernetFrame({ dst, src, etherType, vlans }, ipPacket(fields, protocol, segment));
};

/** Writes the checksum of a TCP or UDP segment whose field at `offset` holds zero. */
const finishChecksum = (fields: FlowFields, protocol: number, segment: Buffer, offset: number): void => {
  const pseudo = pseudoHeaderSum(fields.srcIp, fields.dstIp, protocol, segment.length);
  const kind = fields.checksum ?? "full";
  if (kind === "zero") return;
  const full = ~onesComplementSum(segment, pseudo) & 0xffff;
  // A computed zero would say "no checksum" in UDP (RFC 768).
  segment.writeUInt16BE(kind === "partial" ? pseudo : protocol === PROTOCOL_UDP && full === 0 ? 0xffff : full, offset);
};

export const udpFrame = (fields: FlowFields): Uint8Array => {
  const payload = bytes(fields.payload ?? "");
  const segment = poisoned(8 + payload.length);
  segment.writeUInt16BE(fields.srcPort, 0);
  segment.writeUInt16BE(fields.dstPort, 2);
  segment.writeUInt16BE(segment.length, 4);
  segment.writeUInt16BE(0, 6);
  segment.set(payload, 8);
  finishChecksum(fields, PROTOCOL_UDP, segment, 6);
  return ipFrame(fields, PROTOCOL_UDP, segment);
};

export interface TcpFields extends FlowFields {
  /** Default 1 each. */
  readonly seq?: number;
  readonly ack?: number;
  /** TCP_* bits; default ACK. */
  readonly flags?: number;
  /** Default 65535. */
  readonly window?: number;
  /** A multiple of 4 bytes. */
  readonly options?: Uint8Array;
}

export const tcpFrame = (fields: TcpFields): Uint8Array => {
  const payload = bytes(fields.payload ?? "");
  const options = fields.options ?? new Uint8Array(0);
  const headerLength = 20 + options.length;
  const segment = poisoned(headerLength + payload.length);
  segment.writeUInt16BE(fields.srcPort, 0);
  segment.writeUInt16BE(fields.dstPort, 2);
  segment.writeUInt32BE(fields.seq ?? 1, 4);
  segment.writeUInt32BE(fields.ack ?? 1, 8);
  segment[12] = (headerLength / 4) << 4;
  segment[13] = fields.flags ?? TCP_ACK;
  segment.writeUInt16BE(fields.window ?? 65535, 14);
  segment.writeUInt16BE(0, 16);
  segment.writeUInt16BE(0, 18);
  segment.set(options, 20);
  segment.set(payload, headerLength);
  finishChecksum(fields, PROTOCOL_TCP, segment, 16);
  return ipFrame(fields, PROTOCOL_TCP, segment);
};

/** Bits a test may want wrong in a VXLAN header. */
export interface VxlanFields {
  /** Default 0x08: only the I flag. */
  readonly flags?: number;
  /** The 24 reserved bits behind the flags, and the last 8; default 0. */
  readonly reserved1?: number;
  readonly reserved2?: number;
}

/** RFC 7348 section 5: header and frame, that is, the payload of the outer UDP datagram. */
export const vxlanDatagram = (vni: number, frame: Uint8Array, fields: VxlanFields = {}): Uint8Array => {
  const header = poisoned(8);
  header.writeUInt8(fields.flags ?? 0x08, 0);
  header.writeUIntBE(fields.reserved1 ?? 0, 1, 3);
  header.writeUIntBE(vni, 4, 3);
  header.writeUInt8(fields.reserved2 ?? 0, 7);
  return Buffer.concat([header, frame]);
};
