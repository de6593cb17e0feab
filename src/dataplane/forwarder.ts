/**
 * Life of a batch: every frame is classified, then every verdict is carried out. This is all that happens between
 * `receive` and the next `receive`; it allocates nothing, throws nothing, logs nothing, awaits nothing.
 */
import { FRAME_DST_HI, FRAME_DST_LO, FRAME_PORT, FRAME_WORDS, PORT_TAP } from "../binding/abi.ts";
import type { Batch } from "./batch.ts";
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

  constructor(batch: Batch, tables: Tables, counters: Counters, upcalls: UpcallRing, sender: Sender) {
    this.frames = batch.frames;
    this.ports = tables.ports.words;
    this.worker = counters.worker;
    this.fdb = tables.fdb;
    const embedded = new EmbeddedVtep(batch, tables, upcalls);
    const misses = new Misses(batch.status, upcalls);
    const neighbourhood = new Neighbourhood(batch, tables, counters, upcalls, misses);
    this.classifier = new Classifier(batch, tables, counters, neighbourhood, misses, embedded);
    this.decapsulator = new Decapsulator(batch, tables, counters, upcalls, neighbourhood, embedded);
    this.encapsulator = new Encapsulator(batch, tables, counters, upcalls, sender);
  }

  /** Forwards the first `count` frames of the batch. */
  forward(count: number): void {
    this.classify(count);
    this.encapsulator.run(count);
    this.worker[WORKER_BATCHES]!++;
    this.worker[WORKER_FRAMES]! += count;
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
    const { frames, ports } = this;
    this.decapsulator.forget();
    if (this.fdb.live > PRELOAD_ENTRIES) this.preload(count);
    for (let row = 0; row < count * FRAME_WORDS; row += FRAME_WORDS) {
      const port = frames[row + FRAME_PORT]! * PORT_WORDS;
      const owner = ports[port + PORT_OWNER]!;
      if (ports[port + PORT_KIND] === PORT_TAP) this.classifier.classify(row, owner);
      else this.decapsulator.decap(row, owner);
    }
  }
}
