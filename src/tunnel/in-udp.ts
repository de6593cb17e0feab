/**
 * A mode in UDP, for an underlay that carries no other protocol: foo-over-UDP (fou) puts a UDP header where there was none, GUE
 * one and four bytes that say what follows, GRE-in-UDP (RFC 8086) is GRE in fou on a port of its own, and
 * ESP in UDP (RFC 3948) is ESP in fou: a keepalive is too short to be ESP, and what is IKE's has an SPI that no association has.
 *
 * With fou nothing tells IPv4 from IPv6 inside but the packet itself; as Linux has it, a port carries one IP protocol.
 */

import { HEADER_PREFIX_SHIFT } from "../binding/abi.ts";
import { GUE_HEADER_BYTES, writeGue } from "../wire/gue.ts";
import { PROTOCOL_UDP } from "../wire/underlay-headers.ts";
import type { HeaderOptions, Mode, Payload } from "./mode.ts";

export const ENCAPS = ["fou", "gue", "gre-in-udp", "espinudp"] as const;
export type Encap = (typeof ENCAPS)[number];

/** Port when none is given: as iproute2's examples have it, IANA's, RFC 8086's, and RFC 3948's. */
export const ENCAP_PORTS: Readonly<Record<Encap, number>> = {
  fou: 5555,
  gue: 6080,
  "gre-in-udp": 4754,
  espinudp: 4500,
};

/** GRE is what GRE-in-UDP puts into UDP, ESP what ESP in UDP does, and nothing else does with ESP. */
export const encapsOf = ({ keys }: Mode): readonly Encap[] => {
  if (keys.includes("key-file")) return ["espinudp"];
  return keys.includes("key") ? ["fou", "gue", "gre-in-udp"] : ["fou", "gue"];
};

/** The IP protocol that a payload would have without UDP. */
const innerProtocol = (mode: Mode, options: HeaderOptions, payload: Payload): number => {
  const [first, second] = mode.carriers(options);
  return (payload === "ipv6" && second !== undefined ? second : first).protocol;
};

export const inUdp = (mode: Mode, encap: Encap): Mode => {
  const prefix = encap === "gue" ? GUE_HEADER_BYTES : 0;
  const writeHeader = (options: HeaderOptions, payload: Payload): Uint8Array => {
    const inner = mode.writeHeader(options, payload);
    const header = new Uint8Array(prefix + inner.length);
    if (prefix > 0) writeGue(header, 0, innerProtocol(mode, options, payload));
    header.set(inner, prefix);
    return header;
  };
  return {
    ...mode,
    carriers: ({ port }) => [{ protocol: PROTOCOL_UDP, port }],
    format: (options) => {
      const format = mode.format(options);
      return prefix === 0 || format.kind === "vni" || format.kind === "esp" ? format : { ...format, isInGue: true };
    },
    layout: mode.layout | ((prefix / 4) << HEADER_PREFIX_SHIFT),
    headerBytes: (options) => prefix + mode.headerBytes(options),
    writeHeader,
  };
};
