/**
 * Remote VTEPs: every (bridge domain, address, UDP port, VNI) that frames are sent to or accepted from.
 *
 * A slot (numbered from 1; FDB entries and flood lists hold the number) is one cache line of words for the loop, beside it the sockaddr the kernel takes
 * and the tunnel header to prepend, both ready-made: sending costs no header building. An index finds the slot of
 * (bridge domain, address) for a received datagram; several slots may share an address (an FDB entry with its own port or
 * VNI), then the index leads to the one with the tunnel's own port and VNI, because that is what learned entries use: a
 * sender's UDP source port is a flow hash, never an address to answer to.
 *
 * Main thread writes; slots are counted by their users and published last. A released slot rests GRACE_S seconds before
 * it is given out again, so that a worker in the middle of a batch never sends to a stranger.
 */
import { AF_INET, VTEP_ADDRESS_BYTES } from "../binding/abi.ts";
import { VtepdError } from "../errors.ts";
import { addressWords, type VtepAddress } from "./vtep-address.ts";

export const MAX_REMOTES: number = 1 << 18;
/** Room for the longest tunnel header of any mode to come, and for outer headers before it (native/uplink.cc). */
export const TEMPLATE_BYTES = 128;
/** In a tunnel of IP packets the header of IPv6 ones stands here: it has another protocol type. */
export const TEMPLATE_IPV6_BYTES = 64;

export const REMOTE_WORDS = 16;
export const REMOTE_BD = 0; // 0 = free
/** Words 1..4: address, mapped. */
export const REMOTE_ADDRESS = 1;
export const REMOTE_UDP_PORT = 5;
export const REMOTE_VNI = 6;
/** First of the binding's sending ports, and the mask a flow hash is cut with to choose among them. */
export const REMOTE_TX_PORT = 7;
export const REMOTE_TX_MASK = 8;
export const REMOTE_TEMPLATE_LENGTH = 9;
/** Added to the sending port for a copy with DF (OUTER_DF); 0 = the port takes both. */
export const REMOTE_TX_DF_STEP = 10;
/** 1 = not a remote VTEP but our own address: what comes from there is our own multicast, looped back. */
export const REMOTE_IS_SELF = 11;
/** Bytes of the largest frame that one packet to it can carry, Ethernet header and tags included; UNLIMITED when nobody knows. */
export const REMOTE_FRAME_LIMIT = 12;
/** Added to the sending port for an IPv6 packet of a tunnel of IP packets, where it has an IP protocol of its own. */
export const REMOTE_TX_IPV6_STEP = 13;
/** How many bytes of the template are before the tunnel header. */
export const REMOTE_UNDERLAY_BYTES = 14;
export const UNLIMITED = 0x7fffffff;

/**
 * In REMOTE_TX_PORT: nothing may be sent there, because it would come back to us. Whatever a hash and a step for DF add, it
 * stays negative, so that the addon finds no such port and the copy is refused.
 */
export const RECURSIVE_TX_PORT: number = -(1 << 16);

const INDEX_SLOTS = MAX_REMOTES * 2;
const INDEX_TOMB = -1;
const GRACE_S = 2;

export interface RemoteMemory {
  readonly words: Int32Array;
  readonly index: Int32Array;
  readonly vteps: Uint8Array;
  readonly templates: Uint8Array;
}

/** How copies to a remote VTEP go out. */
export interface RemoteWay {
  readonly scopeId: number;
  readonly txPort: number;
  readonly txMask: number;
  readonly txDfStep: number;
  /** Default 0. */
  readonly txIpv6Step?: number;
  /** How many bytes of the templates are before the tunnel header; default 0. */
  readonly underlayBytes?: number;
  /** What to prepend: the tunnel header, or all headers from Ethernet on, at most TEMPLATE_BYTES. */
  readonly template: Uint8Array;
  /** The same for IPv6 packets, where they have another; as long. */
  readonly ipv6Template?: Uint8Array | undefined;
}

export interface RemoteSpec extends RemoteWay {
  readonly bd: number;
  readonly address: VtepAddress;
  readonly udpPort: number;
  readonly vni: number;
  /** Outer flow label over IPv6; default 0. */
  readonly flowLabel?: number;
  /** Whether the index shall lead here: it has the tunnel's own port and VNI. */
  readonly indexed: boolean;
  readonly isSelf?: boolean;
}

const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);

export const allocateRemotes = (): RemoteMemory => ({
  words: new Int32Array(shared(MAX_REMOTES * REMOTE_WORDS * 4)),
  index: new Int32Array(shared(INDEX_SLOTS * 4)),
  vteps: new Uint8Array(shared(MAX_REMOTES * VTEP_ADDRESS_BYTES)),
  templates: new Uint8Array(shared(MAX_REMOTES * TEMPLATE_BYTES)),
});

export class RemoteTable {
  readonly memory: RemoteMemory;
  private readonly words: Int32Array;
  private readonly index: Int32Array;
  private top = 1;
  private resting: { slot: number; freeAtS: number }[] = [];

  constructor(memory: RemoteMemory = allocateRemotes()) {
    this.memory = memory;
    this.words = memory.words;
    this.index = memory.index;
  }

  /** Slot of the remote VTEP with this mapped address (four words), or 0. Any thread. */
  find(bd: number, a0: number, a1: number, a2: number, a3: number): number {
    const { words, index } = this;
    for (let at = indexOf(bd, a0, a1, a2, a3); ; at = (at + 1) & (INDEX_SLOTS - 1)) {
      const slot = index[at]!;
      if (slot === 0) return 0;
      if (slot === INDEX_TOMB) continue;
      const row = slot * REMOTE_WORDS;
      if (
        words[row + REMOTE_BD] === bd &&
        words[row + REMOTE_ADDRESS + 3] === a3 &&
        words[row + REMOTE_ADDRESS + 2] === a2 &&
        words[row + REMOTE_ADDRESS + 1] === a1 &&
        words[row + REMOTE_ADDRESS] === a0
      ) {
        return slot;
      }
    }
  }

  /** Main thread. @throws ERR_LIMIT */
  insert(spec: RemoteSpec, nowS: number): number {
    const slot = this.takeSlot(nowS);
    const row = slot * REMOTE_WORDS;
    const { words } = this;
    const address = addressWords(spec.address.mapped);
    words.set(address, row + REMOTE_ADDRESS);
    words[row + REMOTE_UDP_PORT] = spec.udpPort;
    words[row + REMOTE_VNI] = spec.vni;
    words[row + REMOTE_FRAME_LIMIT] = UNLIMITED;
    words[row + REMOTE_IS_SELF] = spec.isSelf === true ? 1 : 0;
    this.writeSockaddr(slot, spec);
    this.setWay(slot, spec);
    Atomics.store(words, row + REMOTE_BD, spec.bd);
    if (spec.indexed) this.publish(slot, spec.bd, address);
    return slot;
  }

  /**
   * Other sockets for what goes to the slot; workers may be sending. A worker that reads in the middle of it may pair the
   * old port with the new mask: so both ways must have as many sockets, as those of one tunnel do. Main thread.
   */
  setWay(slot: number, way: RemoteWay): void {
    const { words } = this;
    const { scopeId, txPort, txMask, txDfStep, template, ipv6Template } = way;
    const row = slot * REMOTE_WORDS;
    this.memory.templates.set(template, slot * TEMPLATE_BYTES);
    if (ipv6Template !== undefined)
      this.memory.templates.set(ipv6Template, slot * TEMPLATE_BYTES + TEMPLATE_IPV6_BYTES);
    words[row + REMOTE_TEMPLATE_LENGTH] = template.length;
    words[row + REMOTE_TX_MASK] = txMask;
    words[row + REMOTE_TX_DF_STEP] = txDfStep;
    words[row + REMOTE_TX_IPV6_STEP] = way.txIpv6Step ?? 0;
    words[row + REMOTE_UNDERLAY_BYTES] = way.underlayBytes ?? 0;
    const sockaddr = slot * VTEP_ADDRESS_BYTES;
    const isIpv6 = new Uint16Array(this.memory.vteps.slice(sockaddr, sockaddr + 2).buffer)[0] !== AF_INET;
    if (isIpv6) this.memory.vteps.set(new Uint8Array(Uint32Array.of(scopeId).buffer), sockaddr + 24);
    Atomics.store(words, row + REMOTE_TX_PORT, txPort);
  }

  /** Another sending port alone, or RECURSIVE_TX_PORT. Main thread. */
  setPort(slot: number, txPort: number): void {
    Atomics.store(this.words, slot * REMOTE_WORDS + REMOTE_TX_PORT, txPort);
  }

  /** Main thread. No static entry and no flood list may lead to the slot any more. */
  remove(slot: number, nowS: number): void {
    const row = slot * REMOTE_WORDS;
    const [a0, a1, a2, a3] = this.words.subarray(row + REMOTE_ADDRESS, row + REMOTE_ADDRESS + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    for (
      let at = indexOf(this.words[row + REMOTE_BD]!, a0, a1, a2, a3);
      this.index[at] !== 0;
      at = (at + 1) & (INDEX_SLOTS - 1)
    ) {
      if (this.index[at] !== slot) continue;
      this.index[at] = INDEX_TOMB;
      this.clearTombs(at);
      break;
    }
    Atomics.store(this.words, row + REMOTE_BD, 0);
    this.resting.push({ slot, freeAtS: nowS + GRACE_S });
  }

  /** The 16 mapped bytes of a slot's address, copied. */
  address(slot: number): Uint8Array {
    const row = slot * REMOTE_WORDS + REMOTE_ADDRESS;
    return new Uint8Array(this.words.slice(row, row + 4).buffer);
  }

  /** Whether two slots have one address. Any thread. */
  sameAddress(slot: number, other: number): boolean {
    const { words } = this;
    const a = slot * REMOTE_WORDS + REMOTE_ADDRESS;
    const b = other * REMOTE_WORDS + REMOTE_ADDRESS;
    return (
      words[a + 3] === words[b + 3] &&
      words[a + 2] === words[b + 2] &&
      words[a + 1] === words[b + 1] &&
      words[a] === words[b]
    );
  }

  /** Any thread. */
  isSelf(slot: number): boolean {
    return this.words[slot * REMOTE_WORDS + REMOTE_IS_SELF] !== 0;
  }

  /** Main thread. @param bytes UNLIMITED = no limit */
  setFrameLimit(slot: number, bytes: number): void {
    Atomics.store(this.words, slot * REMOTE_WORDS + REMOTE_FRAME_LIMIT, bytes);
  }

  /** Whether the slot is a remote of the bridge domain. */
  isOf(slot: number, bd: number): boolean {
    return this.words[slot * REMOTE_WORDS + REMOTE_BD] === bd;
  }

  get(slot: number, word: number): number {
    return this.words[slot * REMOTE_WORDS + word]!;
  }

  private takeSlot(nowS: number): number {
    const rested = this.resting.findIndex((entry) => entry.freeAtS <= nowS);
    if (rested >= 0) return (this.resting.splice(rested, 1)[0] as { slot: number }).slot;
    if (this.top >= MAX_REMOTES)
      throw new VtepdError("ERR_LIMIT", `expected at most ${MAX_REMOTES - 1} remote VTEPs, got one more`);
    return this.top++;
  }

  private publish(slot: number, bd: number, address: Int32Array): void {
    let at = indexOf(bd, address[0]!, address[1]!, address[2]!, address[3]!);
    while (this.index[at] !== 0 && this.index[at] !== INDEX_TOMB) at = (at + 1) & (INDEX_SLOTS - 1);
    Atomics.store(this.index, at, slot);
  }

  /** Empties the run of tombs that ends at `at`, if nothing lies behind it. */
  private clearTombs(at: number): void {
    const previous = (slot: number): number => (slot - 1) & (INDEX_SLOTS - 1);
    if (this.index[(at + 1) & (INDEX_SLOTS - 1)] !== 0) return;
    for (let tomb = at; this.index[tomb] === INDEX_TOMB; tomb = previous(tomb)) this.index[tomb] = 0;
  }

  private writeSockaddr(slot: number, spec: RemoteSpec): void {
    const bytes = this.memory.vteps.subarray(slot * VTEP_ADDRESS_BYTES, (slot + 1) * VTEP_ADDRESS_BYTES);
    const { family } = spec.address;
    bytes.fill(0);
    bytes.set(new Uint8Array(Uint16Array.of(family).buffer), 0);
    bytes[2] = spec.udpPort >>> 8;
    bytes[3] = spec.udpPort & 255;
    if (family === AF_INET) {
      bytes.set(spec.address.bytes, 4);
    } else {
      const label = spec.flowLabel ?? 0;
      bytes.set([label >>> 16, (label >>> 8) & 255, label & 255], 5);
      bytes.set(spec.address.bytes, 8);
    }
  }
}

const indexOf = (bd: number, a0: number, a1: number, a2: number, a3: number): number => {
  let h = Math.imul(a3 ^ Math.imul(bd, 0x9e3779b1), 0x85ebca6b);
  h = Math.imul(h ^ a2 ^ (h >>> 13), 0xc2b2ae35);
  h = Math.imul(h ^ a1 ^ a0 ^ (h >>> 16), 0x27d4eb2f);
  return (h ^ (h >>> 15)) & (INDEX_SLOTS - 1);
};
