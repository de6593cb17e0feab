/** A packet in a few words, for a trace. */
import {
  ABSENT,
  FIELD_DST,
  FIELD_DST_HI,
  FIELD_DST_LO,
  FIELD_DST_PORT,
  FIELD_ETHERTYPE,
  FIELD_HAS_ADDRESSES,
  FIELD_PROTOCOL,
  FIELD_SRC,
  FIELD_SRC_HI,
  FIELD_SRC_LO,
  FIELD_SRC_PORT,
  FIELD_VLAN,
  PacketFields,
} from "../dataplane/packet-fields.ts";
import { formatVtepAddress } from "../dataplane/vtep-address.ts";
import { formatMac } from "../wire/mac.ts";

const PROTOCOLS: Readonly<Record<number, string>> = { 1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6" };

const address = (words: Int32Array, field: number): string => {
  const bytes = new DataView(new ArrayBuffer(16));
  for (let i = 0; i < 4; i++) bytes.setInt32(4 * i, words[field + i]!);
  return formatVtepAddress(new Uint8Array(bytes.buffer));
};

/** e.g. `02:00:00:00:00:01 > 02:00:00:00:00:02, 10.0.0.1 > 10.0.0.2, UDP 1000 > 53, 98 bytes`. */
export const packetText = (bytes: Uint8Array, isPacket: boolean): string => {
  const fields = new PacketFields();
  fields.read(bytes, 0, bytes.length, bytes.length, isPacket);
  const { words } = fields;
  const type = words[FIELD_ETHERTYPE]!;
  const parts: string[] = [];
  if (!isPacket && words[FIELD_DST_HI] !== ABSENT) {
    const mac = (hi: number, lo: number): string => formatMac(words[hi]!, words[lo]!);
    parts.push(`${mac(FIELD_SRC_HI, FIELD_SRC_LO)} > ${mac(FIELD_DST_HI, FIELD_DST_LO)}`);
  }
  if (words[FIELD_VLAN] !== ABSENT) parts.push(`VLAN ${words[FIELD_VLAN]}`);
  if (type === 0x0806) parts.push("ARP");
  if (words[FIELD_HAS_ADDRESSES] === 1) parts.push(`${address(words, FIELD_SRC)} > ${address(words, FIELD_DST)}`);
  else if (type !== ABSENT) parts.push(`ethertype 0x${type.toString(16).padStart(4, "0")}`);
  const protocol = words[FIELD_PROTOCOL]!;
  if (protocol !== ABSENT) {
    const name = PROTOCOLS[protocol] ?? `protocol ${protocol}`;
    const ports = words[FIELD_SRC_PORT] === ABSENT ? "" : ` ${words[FIELD_SRC_PORT]} > ${words[FIELD_DST_PORT]}`;
    parts.push(`${name}${ports}`);
  }
  return [...parts, `${bytes.length} bytes`].join(", ");
};
