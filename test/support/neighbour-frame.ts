/** Neighbour discovery messages (RFC 4861) for tests, right or wrong in one field. Shares no code with src/wire/. */
import {
  ETHERTYPE_IPV6,
  ethernetFrame,
  ipBytes,
  macBytes,
  onesComplementSum,
  pseudoHeaderSum,
} from "./frame-builder.ts";

const ICMPV6 = 58;

export interface NeighbourFields {
  readonly kind: "solicitation" | "advertisement";
  readonly src: string;
  /** Default: the solicited-node group of the target. */
  readonly dst?: string;
  readonly dstMac?: string;
  readonly target: string;
  /** Of the sender, and in the option; undefined = no option. */
  readonly mac: string | undefined;
  /** Of an advertisement: 0x80 router, 0x40 solicited, 0x20 override. */
  readonly flags?: number;
  readonly hopLimit?: number;
  readonly code?: number;
  /** Units of 8 bytes. */
  readonly optionLength?: number;
  readonly payloadLength?: number;
  /** Default: the right one. */
  readonly checksum?: number;
}

/** ff02::1:ffXX:XXXX, RFC 4291 section 2.7.1. */
const solicitedNode = (target: string): { address: string; mac: string } => {
  const last = Buffer.from(ipBytes(target).subarray(13)).toString("hex");
  const mac = `33:33:ff:${last.match(/../g)!.join(":")}`;
  return { address: `ff02::1:ff${last.slice(0, 2)}:${last.slice(2)}`, mac };
};

export const neighbourFrame = (fields: NeighbourFields): Uint8Array => {
  const group = solicitedNode(fields.target);
  const dst = fields.dst ?? group.address;
  const isSolicitation = fields.kind === "solicitation";
  const option =
    fields.mac === undefined
      ? Buffer.alloc(0)
      : Buffer.concat([Buffer.from([isSolicitation ? 1 : 2, fields.optionLength ?? 1]), macBytes(fields.mac)]);
  const icmp = Buffer.concat([
    Buffer.from([isSolicitation ? 135 : 136, fields.code ?? 0, 0, 0, fields.flags ?? 0, 0, 0, 0]),
    ipBytes(fields.target),
    option,
  ]);
  const sum = onesComplementSum(icmp, pseudoHeaderSum(fields.src, dst, ICMPV6, icmp.length));
  icmp.writeUInt16BE(fields.checksum ?? ~sum & 0xffff, 2);
  const ip = Buffer.alloc(8);
  ip[0] = 0x60;
  ip.writeUInt16BE(fields.payloadLength ?? icmp.length, 4);
  ip[6] = ICMPV6;
  ip[7] = fields.hopLimit ?? 255;
  return ethernetFrame(
    { dst: fields.dstMac ?? group.mac, src: fields.mac ?? "02:00:00:00:00:0a", etherType: ETHERTYPE_IPV6 },
    Buffer.concat([ip, ipBytes(fields.src), ipBytes(dst), icmp]),
  );
};
