/** What the suite asks of a peer, whoever it is: make a tunnel of its own to vtepd, and be a station on it. */

export type Family = "IPv4" | "IPv6";

/** Addresses of host n of the underlay: 1 is vtepd, 2 the peer, 3 the third host. */
export const underlayAddress = (family: Family, n: number): string =>
  family === "IPv4" ? `192.0.2.${n}` : `2001:db8::${n}`;

/** MAC of the overlay device of host n, and its addresses in the overlay of a VNI below 256. */
export const overlayMac = (n: number): string => `02:00:00:00:42:0${n}`;
export const overlay4 = (n: number, vni = 42): string => `10.${vni}.0.${n}`;
export const overlay6 = (n: number, vni = 42): string => `fd00:${vni}::${n}`;

/** iproute2 and Open vSwitch both read it so. */
export const tosWord = (tos: number | "inherit"): string => (tos === "inherit" ? tos : `0x${tos.toString(16)}`);

/** A tunnel on the peer's side, and on the third host's. What is left out is as the peer has it by default. */
export interface PeerTunnel {
  /** Default 42. The device is called `ovVNI`. */
  readonly vni?: number;
  readonly port?: number;
  /** Of the underlay; default the column's own. */
  readonly family?: Family;
  /** VTEPs that get floods; default vtepd alone. */
  readonly remotes?: readonly string[];
  readonly group?: string;
  /** Static FDB entries, by MAC. */
  readonly fdb?: Readonly<Record<string, string>>;
  readonly learning?: boolean;
  readonly mac?: string;
  /** Instead of its own in the overlay: `10.42.0.9`. */
  readonly address?: string;
  /** Bytes. */
  readonly mtu?: number;
  readonly ttl?: number | "inherit";
  readonly tos?: number | "inherit";
  readonly df?: boolean;
  readonly flowLabel?: number;
  readonly checksum?: boolean;
}

export interface Peer {
  /** Runs a line of bash where the overlay devices are. @throws Error with all output when it fails */
  readonly run: (line: string) => Promise<string>;
  tunnel(options?: PeerTunnel): Promise<void>;
  /** Removes all tunnels. */
  clear(): Promise<void>;
  /** Remote VTEP that the peer has learned a MAC behind, on the tunnel of VNI 42. */
  remoteOf(mac: string): Promise<string | undefined>;
  stop(): Promise<void>;
}
