/**
 * Captures: frames and packets that the workers see, as a pcapng stream to a client (capture-tap.ts in the data plane takes
 * them, captured-packet.ts makes packets of them). Each capture has a ring in every worker, which is emptied POLL_MS after
 * POLL_MS; what does not fit into a ring, or what a client does not take, is counted and told in the stream (isb_ifdrop).
 *
 * Of sealed packets (ESP) the underlay's are cut behind their header; the device's have what is inside.
 *
 * tcpdump reads only files whose interfaces are all of one link type, and of LINKTYPE_RAW only those with one interface. So
 * all have Ethernet headers, those of IP packets with zeros for MACs; a capture of nothing but the underlay or one tunnel of
 * IP packets has LINKTYPE_RAW.
 */
import { allocateCaptureRing, CaptureRing } from "../dataplane/capture-ring.ts";
import { type CaptureSetup, LAYER_INNER, LAYER_OUTER } from "../dataplane/capture-tap.ts";
import type { CaptureRequest, CaptureSink } from "../dataplane/capture-view.ts";
import { VtepdError } from "../errors.ts";
import {
  enhancedPacket,
  interfaceDescription,
  interfaceStatistics,
  LINKTYPE_ETHERNET,
  LINKTYPE_RAW,
  sectionHeader,
} from "../wire/pcapng.ts";
import { type CapturedPacket, type CaptureSources, readCaptured } from "./captured-packet.ts";
import { compileFilter } from "./filter-expression.ts";
import type { Supervisor } from "./supervisor.ts";
import type { Tunnel } from "./tunnel.ts";

const POLL_MS = 10;
/** A worker tells of what it sent before it tells of what had come, and workers tell one after the other. */
const SETTLE_MS = 10;
/** Each costs the workers a look at every frame. */
const MAX_CAPTURES = 8;
/** Of a superframe. */
const MAX_SNAP_LENGTH = 65_550;
/** What libpcap allows, and more than any packet has. */
const FILE_SNAP_LENGTH = 262_144;
/** How often losses are told, and how often a client hears that the daemon is alive. */
const STATISTICS_MS = 1000;
const HEARTBEAT_MS = 10_000;
const UNDERLAY = "underlay";
/** Bytes that are given to a client at once, and some more: to give it each packet costs more than all the rest. */
const CHUNK_BYTES = 256 * 1024;

export interface CaptureParts extends CaptureSources {
  readonly supervisor: Supervisor;
  readonly tunnels: ReadonlyMap<string, Tunnel>;
  readonly version: string;
}

export class Captures {
  private readonly parts: CaptureParts;
  private readonly running = new Set<Capture>();
  private nextId = 1;

  constructor(parts: CaptureParts) {
    this.parts = parts;
  }

  /** Begins when the returned promise resolves; the function that it resolves to ends it. @throws ERR_LINK_NOT_FOUND, ERR_CONFIG_VALUE, ERR_LIMIT */
  async start(request: CaptureRequest, sink: CaptureSink): Promise<() => void> {
    if (this.running.size === MAX_CAPTURES) {
      throw new VtepdError("ERR_LIMIT", `expected at most ${MAX_CAPTURES} captures at once, got one more`);
    }
    const capture = new Capture(this.nextId++, this.parts, request, sink, () => void this.running.delete(capture));
    this.running.add(capture);
    await capture.begin();
    return () => void capture.end();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.running].map((capture) => capture.end()));
  }
}

class Capture {
  private readonly id: number;
  private readonly parts: CaptureParts;
  private readonly sink: CaptureSink;
  private readonly onEnd: () => void;
  private readonly dev: string | undefined;
  /** Of `dev`; 0 = all. */
  private readonly bd: number;
  private readonly setups: readonly CaptureSetup[];
  private readonly rings: readonly CaptureRing[];
  /** By name of the interface. */
  private readonly interfaces = new Map<string, number>();
  private readonly hasEthernet: boolean;
  /** As the tunnels are during one look at the rings. */
  private byDomain: ReadonlyMap<number, Tunnel> | undefined;
  /** Packets that may have older ones to come. */
  private settling: CapturedPacket[] = [];
  private readonly chunk = new Chunk();
  private left: number;
  /** Packets that the client did not take. */
  private untaken = 0;
  private toldLost = 0;
  private toldMs = Date.now();
  private timer: NodeJS.Timeout | undefined;
  private ending: Promise<void> | undefined;

  constructor(id: number, parts: CaptureParts, request: CaptureRequest, sink: CaptureSink, onEnd: () => void) {
    const { tunnels, supervisor } = parts;
    const { dev, layer, filter = "", snaplen = MAX_SNAP_LENGTH, count = Number.POSITIVE_INFINITY } = request;
    this.id = id;
    this.parts = parts;
    this.sink = sink;
    this.onEnd = onEnd;
    this.left = count;
    this.dev = dev;
    this.bd = dev === undefined ? 0 : tunnels.get(dev)!.bd;
    const domainsOf = (vni: number): number[] =>
      [...tunnels.values()].filter(({ config }) => config.id === vni).map(({ bd }) => bd);
    const setup = {
      program: compileFilter(filter, domainsOf),
      bd: this.bd,
      layers: layer === undefined ? LAYER_INNER | LAYER_OUTER : layer === "inner" ? LAYER_INNER : LAYER_OUTER,
      snapLength: Math.min(snaplen, MAX_SNAP_LENGTH),
    };
    const isOfPackets = layer === "inner" && dev !== undefined && !tunnels.get(dev)!.encapsulation.isEthernet;
    this.hasEthernet = layer !== "outer" && !isOfPackets;
    this.setups = Array.from({ length: supervisor.count }, () => ({ ...setup, ring: allocateCaptureRing() }));
    this.rings = this.setups.map(({ ring }) => new CaptureRing(ring));
    const names = [
      ...(layer === "outer" ? [] : dev === undefined ? [...tunnels.keys()] : [dev]),
      ...(layer === "inner" ? [] : [UNDERLAY]),
    ];
    sink.write(concat([sectionHeader(`vtepd ${parts.version}`), ...names.map((name) => this.describe(name))]));
  }

  async begin(): Promise<void> {
    try {
      await this.parts.supervisor.beginCapture(this.id, this.setups);
    } catch (error) {
      await this.end();
      throw error;
    }
    if (this.ending === undefined) this.timer = setInterval(() => this.poll(), POLL_MS);
  }

  end(): Promise<void> {
    this.ending ??= this.finish();
    return this.ending;
  }

  private async finish(): Promise<void> {
    clearInterval(this.timer);
    await this.parts.supervisor.endCapture(this.id).catch(() => {}); // workers that have ended capture nothing
    this.drain(Number.POSITIVE_INFINITY);
    this.tellLost(Date.now(), true);
    this.onEnd();
    this.sink.end();
  }

  private poll(): void {
    const nowMs = Date.now();
    this.drain(nowMs - SETTLE_MS);
    const restMs = this.lost === this.toldLost ? HEARTBEAT_MS : STATISTICS_MS;
    if (nowMs - this.toldMs >= restMs) this.tellLost(nowMs);
    // The number of a tunnel that is gone may soon be another's.
    const isGone = this.dev !== undefined && this.parts.tunnels.get(this.dev)?.bd !== this.bd;
    if (this.left <= 0 || isGone) void this.end();
  }

  /** Packets of all workers until then, in the order in which they came. */
  private drain(untilMs: number): void {
    const packets = this.settling;
    this.byDomain = undefined;
    const tunnelOf = (bd: number): Tunnel | undefined => this.tunnelOf(bd);
    for (const [worker, ring] of this.rings.entries()) {
      ring.drain((record) => packets.push(readCaptured(this.parts, ring, record, worker, tunnelOf, this.hasEthernet)));
    }
    packets.sort((a, b) => a.timeMs - b.timeMs);
    const settled = packets.findIndex(({ timeMs }) => timeMs > untilMs);
    this.settling = settled < 0 ? [] : packets.splice(settled);
    for (const packet of packets) {
      if (this.left - this.chunk.packets > 0) this.add(packet);
      if (this.chunk.bytes >= CHUNK_BYTES) this.give();
    }
    this.give();
  }

  private add(packet: CapturedPacket): void {
    const name = packet.isOuter ? UNDERLAY : this.tunnelOf(packet.bd)?.config.name;
    if (name === undefined) return; // of a tunnel that is gone
    if (!this.interfaces.has(name)) this.chunk.describe(name, this.describe(name));
    this.chunk.add(enhancedPacket({ ...packet, id: this.interfaces.get(name)! }));
  }

  /** Gives the client what there is. */
  private give(): void {
    const { chunk } = this;
    if (chunk.packets === 0) return;
    if (this.sink.write(concat(chunk.blocks))) this.left -= chunk.packets;
    else {
      this.untaken += chunk.packets;
      // Those that were described last: the numbers of the others stay.
      for (const name of chunk.described) this.interfaces.delete(name);
    }
    chunk.clear();
  }

  private describe(name: string): Uint8Array {
    this.interfaces.set(name, this.interfaces.size);
    const linkType = this.hasEthernet ? LINKTYPE_ETHERNET : LINKTYPE_RAW;
    const what =
      name === UNDERLAY
        ? `packets of the underlay; IP and UDP headers are made again from what is known${this.hasEthernet ? ", Ethernet headers made up" : ""}`
        : "frames of the tunnel's device";
    return interfaceDescription(linkType, FILE_SNAP_LENGTH, name, what);
  }

  private tellLost(nowMs: number, isLast = false): void {
    this.toldLost = this.lost;
    this.toldMs = nowMs;
    if (this.interfaces.size > 0) this.sink.write(interfaceStatistics(0, nowMs, this.lost), isLast);
  }

  private get lost(): number {
    return this.rings.reduce((sum, ring) => sum + ring.lost, this.untaken);
  }

  private tunnelOf(bd: number): Tunnel | undefined {
    this.byDomain ??= new Map(Array.from(this.parts.tunnels.values(), (tunnel) => [tunnel.bd, tunnel]));
    return this.byDomain.get(bd);
  }
}

/** Blocks on their way to a client. */
class Chunk {
  readonly blocks: Uint8Array[] = [];
  /** Interfaces that are described among them, by name. */
  readonly described: string[] = [];
  bytes = 0;
  packets = 0;

  describe(name: string, block: Uint8Array): void {
    this.described.push(name);
    this.push(block);
  }

  add(packet: Uint8Array): void {
    this.packets++;
    this.push(packet);
  }

  clear(): void {
    this.blocks.length = 0;
    this.described.length = 0;
    this.bytes = 0;
    this.packets = 0;
  }

  private push(block: Uint8Array): void {
    this.blocks.push(block);
    this.bytes += block.length;
  }
}

const concat = (blocks: readonly Uint8Array[]): Uint8Array => {
  if (blocks.length === 1) return blocks[0]!;
  const bytes = new Uint8Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let at = 0;
  for (const block of blocks) {
    bytes.set(block, at);
    at += block.length;
  }
  return bytes;
};
