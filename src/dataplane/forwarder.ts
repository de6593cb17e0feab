/**
 * Life of a batch: every frame is classified, then every verdict is carried out. This is all that happens between
 * `receive` and the next `receive`; it allocates nothing, throws nothing, logs nothing, awaits nothing.
 */
import { FRAME_DST_HI, FRAME_DST_LO, FRAME_PORT, FRAME_WORDS, PORT_TAP } from "../binding/abi.ts";
import type { Batch } from "./batch.ts";
import { type CaptureSetup, CaptureTap } from "./capture-tap.ts";
import { Classifier } from "./classify.ts";
import { type Counters, WORKER_BATCHES, WORKER_FRAMES } from "./counters.ts";
import { Decapsulator } from "./decap.ts";
import { EmbeddedVtep } from "./embedded-vtep.ts";
import { Encapsulator, type Sender } from "./encap.ts";
import type { Fdb } from "./fdb.ts";
import { Misses } from "./misses.ts";
import { Neighbourhood } from "./neighbourhood.ts";
import { PORT_KIND, PORT_OWNER, PORT_WORDS } from "./port-table.ts";
import type { Tables } from "./tables.ts";
import { UnknownVteps } from "./unknown-vteps.ts";
import type { UpcallRing } from "./upcall-ring.ts";

/** Entries from which the FDB no longer fits a core's own cache (24 bytes a slot, two slots an entry). */
const PRELOAD_ENTRIES = 131_072;

export class Forwarder {
  private readonly frames: Int32Array;
  private readonly ports: Int32Array;
  private readonly worker: Float64Array;
  private readonly fdb: Fdb;
  /** Made of all that `preload` read, so that the reads are not optimised away. */
  preloaded = 0;
  private readonly classifier: Classifier;
  private readonly decapsulator: Decapsulator;
  private readonly encapsulator: Encapsulator;
  private readonly unknown: UnknownVteps;
  private readonly makeTap: () => CaptureTap;
  /** Undefined while nothing is captured. */
  private tap: CaptureTap | undefined;
  private readonly sender: Sender;

  constructor(batch: Batch, tables: Tables, counters: Counters, upcalls: UpcallRing, sender: Sender) {
    this.frames = batch.frames;
    this.ports = tables.ports.words;
    this.worker = counters.worker;
    this.fdb = tables.fdb;
    this.sender = sender;
    this.makeTap = () => new CaptureTap(batch, tables, sender);
    this.unknown = new UnknownVteps(batch, upcalls);
    const embedded = new EmbeddedVtep(batch, tables, this.unknown);
    const misses = new Misses(batch.status, upcalls);
    const neighbourhood = new Neighbourhood(batch, tables, counters, upcalls, misses);
    this.classifier = new Classifier(batch, tables, counters, neighbourhood, misses, embedded);
    this.decapsulator = new Decapsulator(batch, tables, counters, upcalls, neighbourhood, embedded, this.unknown);
    this.encapsulator = new Encapsulator(batch, tables, counters, upcalls, sender);
  }

  /** Forwards the first `count` frames of the batch. */
  forward(count: number): void {
    if (this.unknown.isHolding) this.resume(false);
    if (this.tap !== undefined) this.tap.before(count);
    this.classify(count);
    this.encapsulator.run(0, count);
    if (this.tap !== undefined) this.tap.after(count);
    this.worker[WORKER_BATCHES]!++;
    this.worker[WORKER_FRAMES]! += count;
  }

  /** Begins a capture, between batches. */
  beginCapture(id: number, setup: CaptureSetup): void {
    this.tap ??= this.makeTap();
    this.tap.begin(id, setup);
    this.encapsulator.sendThrough(this.tap);
  }

  endCapture(id: number): void {
    this.tap?.end(id);
    if (this.tap?.isOn !== false) return;
    this.tap = undefined;
    this.encapsulator.sendThrough(this.sender);
  }

  /** Whether frames wait for a remote VTEP. */
  get isHolding(): boolean {
    return this.unknown.isHolding;
  }

  /** Goes on with those whose wait is over. @param isForced with all */
  resume(isForced: boolean): void {
    this.decapsulator.forget();
    for (let frame = this.unknown.release(isForced); frame >= 0; frame = this.unknown.release(isForced)) {
      this.classifyFrame(frame * FRAME_WORDS);
      this.encapsulator.run(frame, frame + 1);
    }
  }

  /** Brings the FDB slots of a batch into the cache, all at once rather than one after the other. */
  private preload(count: number): void {
    const { frames, ports, fdb } = this;
    let read = 0;
    for (let row = 0; row < count * FRAME_WORDS; row += FRAME_WORDS) {
      const port = frames[row + FRAME_PORT]! * PORT_WORDS;
      if (ports[port + PORT_KIND] !== PORT_TAP) continue;
      read ^= fdb.preload(ports[port + PORT_OWNER]!, frames[row + FRAME_DST_HI]!, frames[row + FRAME_DST_LO]!);
    }
    this.preloaded = read;
  }

  /** Gives each frame its verdict. */
  classify(count: number): void {
    this.decapsulator.forget();
    if (this.fdb.live > PRELOAD_ENTRIES) this.preload(count);
    for (let row = 0; row < count * FRAME_WORDS; row += FRAME_WORDS) this.classifyFrame(row);
  }

  private classifyFrame(row: number): void {
    const { ports } = this;
    const port = this.frames[row + FRAME_PORT]! * PORT_WORDS;
    const owner = ports[port + PORT_OWNER]!;
    if (ports[port + PORT_KIND] === PORT_TAP) this.classifier.classify(row, owner);
    else this.decapsulator.decap(row, owner);
  }
}
