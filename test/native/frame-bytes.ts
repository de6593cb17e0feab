/** Builds overlay frames for the native tests from the inside out. Lengths are filled in, checksums where asked for. */

const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;

/** 02:00:00:00:00:<last>. */
export const mac = (last: number): number[] => [2, 0, 0, 0, 0, last];

const concat = (...parts: ArrayLike<number>[]): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
};

const big16 = (value: number): [number, number] => [(value >> 8) & 0xff, value & 0xff];

/** The folded one's complement sum of big-endian words, RFC 1071; not complemented. */
const sum16 = (...parts: ArrayLike<number>[]): number => {
  const bytes = concat(...parts);
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
};

/** `tags` are [TPID, VLAN id] from the outside in. */
export const ethernet = (
  type: number,
  payload: ArrayLike<number>,
  { dst = mac(2), src = mac(1), tags = [] as readonly (readonly [number, number])[] } = {},
): Uint8Array =>
  concat(dst, src, ...tags.map(([tpid, vlan]) => [...big16(tpid), ...big16(vlan)]), big16(type), payload);

export interface Ipv4Fields {
  src?: readonly number[];
  dst?: readonly number[];
  /** The 16 bits of flags and fragment offset. */
  fragment?: number;
  /** A multiple of 4 bytes. */
  options?: readonly number[];
  /** The total length field, when it shall not be true. */
  totalLength?: number;
}

export const IPV4_A = [192, 0, 2, 1] as const;
export const IPV4_B = [192, 0, 2, 2] as const;
export const IPV6_A = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] as const;
export const IPV6_B = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2] as const;

export const ipv4 = (protocol: number, payload: ArrayLike<number>, fields: Ipv4Fields = {}): Uint8Array => {
  const { src = IPV4_A, dst = IPV4_B, fragment = 0, options = [] } = fields;
  const headerLength = 20 + options.length;
  const header = concat(
    [0x40 | (headerLength / 4), 0],
    big16(fields.totalLength ?? headerLength + payload.length),
    [0, 1],
    big16(fragment),
    [64, protocol, 0, 0],
    src,
    dst,
    options,
  );
  header.set(big16(~sum16(header)), 10);
  return concat(header, payload);
};

interface Ipv6Fields {
  src?: readonly number[];
  dst?: readonly number[];
}

export const ipv6 = (nextHeader: number, payload: ArrayLike<number>, fields: Ipv6Fields = {}): Uint8Array => {
  const { src = IPV6_A, dst = IPV6_B } = fields;
  return concat([0x60, 0, 0, 0], big16(payload.length), [nextHeader, 64], src, dst, payload);
};

/** What stands in a checksum field: a number, the true checksum, or only the pseudo-header sum. */
type Checksum = number | "full" | "partial";

interface TransportFields {
  sourcePort?: number;
  destinationPort?: number;
  payload?: ArrayLike<number>;
  checksum?: Checksum;
  /** Addresses of the packet around it, for the pseudo-header. */
  src?: readonly number[];
  dst?: readonly number[];
}

const putChecksum = (segment: Uint8Array, at: number, protocol: number, fields: TransportFields): Uint8Array => {
  const { src = IPV4_A, dst = IPV4_B, checksum = "full" } = fields;
  const pseudoHeader = concat(src, dst, [0, protocol], big16(segment.length));
  const values = { full: ~sum16(pseudoHeader, segment), partial: sum16(pseudoHeader) };
  segment.set(big16(typeof checksum === "number" ? checksum : values[checksum]), at);
  return segment;
};

/** `options` are a multiple of 4 bytes; `dataOffset` is the field's value when it shall not be true. */
export const tcp = (
  fields: TransportFields & { options?: readonly number[]; dataOffset?: number } = {},
): Uint8Array => {
  const { sourcePort = 40000, destinationPort = 80, payload = [1, 2, 3], options = [] } = fields;
  const dataOffset = fields.dataOffset ?? 5 + options.length / 4;
  const header = [...big16(sourcePort), ...big16(destinationPort), 0, 0, 0, 1, 0, 0, 0, 2, dataOffset << 4, 0x10];
  return putChecksum(concat(header, [1, 0, 0, 0, 0, 0], options, payload), 16, PROTOCOL_TCP, fields);
};

export const udp = (fields: TransportFields = {}): Uint8Array => {
  const { sourcePort = 40000, destinationPort = 9, payload = [1, 2, 3] } = fields;
  const header = [...big16(sourcePort), ...big16(destinationPort), ...big16(8 + payload.length), 0, 0];
  return putChecksum(concat(header, payload), 6, PROTOCOL_UDP, fields);
};

export const IPV4_TYPE = 0x0800;
export const IPV6_TYPE = 0x86dd;
export const TCP = PROTOCOL_TCP;
export const UDP = PROTOCOL_UDP;
