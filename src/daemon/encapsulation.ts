/**
 * The mode of one configured tunnel with all that its configuration says of the header filled in: what goes before each
 * payload, how large that is, and by what received datagrams are known to be its own.
 */
import { AF_INET6, OUTER_GRE_CHECKSUM, OUTER_GRE_SEQUENCE } from "../binding/abi.ts";
import type { TunnelConfig } from "../config/config.ts";
import type { HeaderFormat } from "../dataplane/binding-table.ts";
import { CARRIES_IPV4, CARRIES_IPV6, ETHERNET, ETHERNET_IN_GRE, MINDS_LIMIT } from "../dataplane/bridge-domain.ts";
import { PEER_ETHERNET, PEER_KEYED, PEER_MIRROR } from "../dataplane/peer-table.ts";
import {
  type Carrier,
  datagramBytes,
  frameBytes,
  type HeaderOptions,
  hasVni,
  isEthernet,
  type Mode,
  overlayMtu,
} from "../tunnel/mode.ts";
import { modeOf } from "../tunnel/modes.ts";
import { GRE_CHECKSUM, GRE_SEQUENCE } from "../wire/gre.ts";
import { PROTOCOL_UDP } from "../wire/underlay-headers.ts";

/** What stands before a payload; IPv6 packets may have another, as long. */
export interface Templates {
  readonly template: Uint8Array;
  readonly ipv6Template: Uint8Array | undefined;
}

export class Encapsulation {
  readonly mode: Mode;
  private readonly config: TunnelConfig;

  constructor(config: TunnelConfig) {
    this.config = config;
    this.mode = modeOf(config);
  }

  get format(): HeaderFormat {
    return this.mode.format(this.options(this.config.id));
  }

  get isEthernet(): boolean {
    return isEthernet(this.mode);
  }

  /** Whether nothing is ever sent. */
  get isMirror(): boolean {
    return this.mode.isMirror === true;
  }

  /** Whether a VNI says which tunnel a datagram is for. */
  get isByVni(): boolean {
    return hasVni(this.mode);
  }

  /** One, or one for IPv4 and one for IPv6 packets. */
  get carriers(): readonly Carrier[] {
    return this.mode.carriers(this.options(this.config.id)).filter((carrier) => carrier !== undefined);
  }

  get isInUdp(): boolean {
    return this.carriers[0]?.protocol === PROTOCOL_UDP;
  }

  /** Whether the tunnel can have remote VTEPs of the family. */
  allows(family: number): boolean {
    return this.mode.families.includes(family);
  }

  /** The device's MTU for an underlay of `mtu` bytes. */
  overlayMtu(mtu: number, family: number): number {
    return overlayMtu(this.mode, this.options(this.config.id), family, mtu);
  }

  /** Bytes of the largest frame or packet in an underlay packet of `mtu` bytes. */
  frameBytes(mtu: number, family: number): number {
    return frameBytes(this.mode, this.options(this.config.id), family, mtu);
  }

  /** Bytes behind the outer IP or UDP header of a packet of the device's MTU. */
  datagramBytes(mtu: number): number {
    return datagramBytes(this.mode, this.options(this.config.id), mtu);
  }

  /** @param vni instead of the tunnel's own */
  templates(vni: number): Templates {
    const { mode } = this;
    const options = this.options(vni);
    const [first, second] = mode.payloads;
    return {
      template: mode.writeHeader(options, first ?? "ethernet"),
      ipv6Template: first === "ipv6" || second === "ipv6" ? mode.writeHeader(options, "ipv6") : undefined,
    };
  }

  /** BD_PAYLOADS */
  get payloads(): number {
    const { payloads } = this.mode;
    if (this.isEthernet) return this.greRequired === 0 ? ETHERNET : ETHERNET_IN_GRE;
    return (
      (payloads.includes("ipv4") ? CARRIES_IPV4 : 0) |
      (payloads.includes("ipv6") ? CARRIES_IPV6 : 0) |
      (this.allows(AF_INET6) ? MINDS_LIMIT : 0)
    );
  }

  /** Whether others may send GRE keepalives through it. */
  get hasKeepalives(): boolean {
    return this.format.kind === "gre" && !this.isEthernet && this.config.encap === undefined;
  }

  /** BD_GRE_REQUIRED */
  get greRequired(): number {
    const { greChecksum, greSequence } = this.config;
    return (greChecksum.input ? GRE_CHECKSUM : 0) | (greSequence.input ? GRE_SEQUENCE : 0);
  }

  /** OUTER_GRE_* of what is sent. */
  get greOuter(): number {
    const { greChecksum, greSequence } = this.config;
    return (greChecksum.output ? OUTER_GRE_CHECKSUM : 0) | (greSequence.output ? OUTER_GRE_SEQUENCE : 0);
  }

  /** What its rows in the peer table have beside the address. */
  get peer(): { readonly kind: number; readonly key: number } {
    const key = this.config.key?.input;
    if (this.format.kind !== "gre") return { kind: 0, key: 0 };
    const payload = this.isMirror ? PEER_MIRROR : this.isEthernet ? PEER_ETHERNET : 0;
    return { kind: payload | (key === undefined ? 0 : PEER_KEYED), key: (key ?? 0) | 0 };
  }

  private options(vni: number): HeaderOptions {
    const { key, greChecksum, greSequence, port, refusesOptions } = this.config;
    return {
      key: this.isByVni ? vni : key?.output,
      checksum: greChecksum.output,
      sequence: greSequence.output,
      port,
      refusesOptions,
    };
  }
}
