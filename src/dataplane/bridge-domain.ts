/**
 * Bridge domains: one per tunnel, BD_WORDS words each in shared memory, numbered from 1.
 *
 * The main thread writes, workers read. A domain is filled in before anything leads to it (its VNI and its port are
 * published last) and cleared after nothing does. Single words change under running workers: each is one int32, so a
 * reader sees the old or the new value, never half.
 */
import { VtepdError } from "../errors.ts";

/** Rows of every per-domain table; the FDB key has room for 65535, 4094 is the most one trunk carries. */
export const MAX_BRIDGE_DOMAINS = 8192;

/** Two cache lines. */
export const BD_WORDS = 32;
export const BD_IN_USE = 0;
/** 1 = learn source MACs of frames from the underlay. */
export const BD_LEARNING = 1;
/** How TCP's segment size is held down (mss-clamp.ts): 0 = not, -1 = to what fits, else bytes. */
export const BD_MSS_CLAMP = 2;
/** Index of the flood list in the flood pool. */
export const BD_FLOOD = 3;
/** Access port id: where frames from the underlay go. */
export const BD_ACCESS_PORT = 4;
/** MTU of the device, bytes: how superframes from the underlay are cut. */
export const BD_MTU = 5;
/** The device's own MAC; a frame that comes back with it is a loop. */
export const BD_MAC_HI = 6;
export const BD_MAC_LO = 7;
/** Outer TOS, TTL, OUTER_GRE_* and OUTER_FLOW_LABEL of every copy, as ACTION_OUTER has them, and the OUTER_INHERIT_* bits. */
export const BD_OUTER = 8;
/** 1 = frames of VTEPs that nobody named are accepted. */
export const BD_ACCEPT_ANY = 9;
/** 1 = unicast frames from the overlay whose MAC is not known are dropped instead of flooded. */
export const BD_DROP_UNKNOWN = 10;
/** What becomes of VLAN tags: VLAN_* (vlan-tags.ts). */
export const BD_VLAN = 11;
/** What becomes of frames larger than the path carries: OVERSIZE_* (oversize.ts). */
export const BD_OVERSIZE = 16;
/** What is inside: ETHERNET, ETHERNET_IN_GRE, or CARRIES_* bits: IP packets of these versions. */
export const BD_PAYLOADS = 24;
/** IP packets: remote slot that all go to that no route takes elsewhere; 0 = none. */
export const BD_NEXT_HOP = 25;
/** What received GRE headers must have: GRE_* bits. */
export const BD_GRE_REQUIRED = 26;
/** With GRE_SEQUENCE required: the least sequence number that is not too old, and 0 before the first. Any worker. */
export const BD_GRE_NEXT = 27;
/** IP packets: list of the flood pool that routes are compiled into (route-table.ts); 0 = none. */
export const BD_ROUTES = 28;
/** Where IPv6 packets have their VTEP inside (embedded-vtep.ts); 0 = they do not. */
export const BD_EMBEDDING = 29;
/** First 64 bits of the addresses that have one, two words in network order. */
export const BD_EMBEDDING_PREFIX = 30;
/** The bits that all those VTEPs have in common, and our own one; network order. */
export const BD_EMBEDDING_BASE = 22;
export const BD_EMBEDDING_LOCAL = 23;
/** Whether vtepd answers for neighbours or keepalives, and tells of misses: bits of neighbourhood.ts; 0 = nothing of it. */
export const BD_NEIGHBOURS = 20;

/** In BD_PAYLOADS. */
export const ETHERNET = 0;
/** Ethernet in GRE headers that must have what BD_GRE_REQUIRED says. */
export const ETHERNET_IN_GRE = 4;
export const CARRIES_IPV4 = 1;
export const CARRIES_IPV6 = 2;
/** Over IPv6, IP packets: the tunnel encapsulation limit of IPv6 packets is minded (RFC 2473). */
export const MINDS_LIMIT = 8;

/** In BD_OUTER: DSCP, TTL or DF as in the frame's own IP header. ECN always goes by RFC 6040. */
export const OUTER_INHERIT_TOS: number = 1 << 24;
export const OUTER_INHERIT_TTL: number = 1 << 25;
export const OUTER_INHERIT_DF: number = 1 << 26;

export class BridgeDomains {
  readonly words: Int32Array;

  constructor(words: Int32Array = new Int32Array(new SharedArrayBuffer(MAX_BRIDGE_DOMAINS * BD_WORDS * 4))) {
    this.words = words;
  }

  /** A free number, zeroed and marked. Main thread. @throws ERR_LIMIT */
  allocate(): number {
    for (let bd = 1; bd < MAX_BRIDGE_DOMAINS; bd++) {
      if (this.words[bd * BD_WORDS + BD_IN_USE] !== 0) continue;
      this.words.fill(0, bd * BD_WORDS, (bd + 1) * BD_WORDS);
      this.words[bd * BD_WORDS + BD_IN_USE] = 1;
      return bd;
    }
    throw new VtepdError("ERR_LIMIT", `expected at most ${MAX_BRIDGE_DOMAINS - 1} tunnels, got one more`);
  }

  release(bd: number): void {
    this.words.fill(0, bd * BD_WORDS, (bd + 1) * BD_WORDS);
  }

  get(bd: number, word: number): number {
    return this.words[bd * BD_WORDS + word]!;
  }

  set(bd: number, word: number, value: number): void {
    Atomics.store(this.words, bd * BD_WORDS + word, value);
  }
}
