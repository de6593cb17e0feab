/**
 * What a tunnel mode is: how its frames or packets are carried, in data and a few functions. Everything that tells one mode from
 * another is in its file here and in its header's file in wire/; the daemon and the data plane know modes only by this.
 */
import { AF_INET } from "../binding/abi.ts";
import type { HeaderFormat } from "../dataplane/binding-table.ts";
import { PROTOCOL_UDP } from "../wire/underlay-headers.ts";

/** What an outer IP header carries. */
export interface Carrier {
  /** IP protocol number. */
  readonly protocol: number;
  /** UDP port, 0 with another protocol. */
  readonly port: number;
}

/** What may be inside. */
export type Payload = "ethernet" | "ipv4" | "ipv6";

/** What the tunnel header of one tunnel has; each mode looks at its own. */
export interface HeaderOptions {
  /** VNI, or GRE key; undefined = none. */
  readonly key: number | undefined;
  /** GRE. */
  readonly checksum: boolean;
  readonly sequence: boolean;
  /** UDP port. */
  readonly port: number;
  /** Geneve: whether packets with header options are refused. */
  readonly refusesOptions: boolean;
}

export interface Mode {
  /** As in the configuration, and as iproute2 calls it. */
  readonly name: string;
  /** For the reference. */
  readonly meaning: string;
  /** Ethernet frames through a TAP, or IP packets of these versions through a TUN. */
  readonly payloads: readonly Payload[];
  /** Copies of what passes elsewhere come in and nothing goes out. */
  readonly isMirror?: true;
  /** AF_* of the underlay. */
  readonly families: readonly number[];
  /** By kind of payload, where they differ; IPv6 packets have the second. */
  readonly carriers: (options: HeaderOptions) => readonly [Carrier, Carrier?];
  readonly format: (options: HeaderOptions) => HeaderFormat;
  /** Where the payload begins, as Io.add takes it. */
  readonly layout: number;
  /** Bytes between the outer IP or UDP header and the payload, those behind the payload included. */
  readonly headerBytes: (options: HeaderOptions) => number;
  /** Payload and so many bytes behind it are together a multiple of `bytes`. */
  readonly alignment?: { readonly behind: number; readonly bytes: number };
  readonly writeHeader: (options: HeaderOptions, payload: Payload) => Uint8Array;
  /** Where the IPv6 addresses inside have the IPv4 address of the VTEP that they are behind, if they do. */
  readonly embedding?: "prefix" | "identifier";
  /** Keys of the configuration beside `mode`, and those of them that must be there. */
  readonly keys: readonly string[];
  readonly required: readonly string[];
  /** UDP port when none is given. */
  readonly port?: number;
}

/** The largest UDP payload over IPv4; over IPv6 it is 20 bytes more. */
export const MAX_UDP_PAYLOAD_BYTES = 65_507;

const INNER_ETHERNET_BYTES = 14;
const UDP_HEADER_BYTES = 8;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;

export const isEthernet = (mode: Mode): boolean => mode.payloads.includes("ethernet");

/** Whether a VNI says which tunnel a datagram is for. */
export const hasVni = (mode: Mode): boolean => mode.keys.includes("id");

/** Bytes that the device's MTU does not count. */
const linkBytes = (mode: Mode): number => (isEthernet(mode) ? INNER_ETHERNET_BYTES : 0);

/** What an overlay packet of the device's MTU grows by on its way into an underlay packet: VXLAN 50 over IPv4, 70 over IPv6. */
const overheadBytes = (mode: Mode, options: HeaderOptions, family: number): number =>
  linkBytes(mode) +
  mode.headerBytes(options) +
  (mode.carriers(options)[0].protocol === PROTOCOL_UDP ? UDP_HEADER_BYTES : 0) +
  (family === AF_INET ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES);

/** The device's MTU for an underlay of `mtu` bytes. */
export const overlayMtu = (mode: Mode, options: HeaderOptions, family: number, mtu: number): number => {
  const room = mtu - overheadBytes(mode, options, family);
  return mode.alignment === undefined ? room : room - ((room + mode.alignment.behind) % mode.alignment.bytes);
};

/** Bytes of the largest frame (Ethernet header and tags included) or packet that a packet of `mtu` bytes carries. */
export const frameBytes = (mode: Mode, options: HeaderOptions, family: number, mtu: number): number =>
  overlayMtu(mode, options, family, mtu) + linkBytes(mode);

/** Bytes of tunnel header and payload that carry a packet of the device's MTU. */
export const datagramBytes = (mode: Mode, options: HeaderOptions, mtu: number): number => {
  const { alignment } = mode;
  const over = alignment === undefined ? 0 : (mtu + alignment.behind) % alignment.bytes;
  const padding = over === 0 ? 0 : alignment!.bytes - over;
  return mode.headerBytes(options) + linkBytes(mode) + mtu + padding;
};
