/** The loop allocates nothing: otherwise the collector would stop a worker while frames pile up in its queues. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { BATCH_FRAMES } from "../../src/binding/abi.ts";
import { MemoryVtep, macWords } from "../support/memory-io.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const BATCHES = 16_000;
const FRAMES_A_BATCH = BATCH_FRAMES / 4;
const FRAMES = BATCHES * FRAMES_A_BATCH;
/** One heap number for each batch would be 256 kB; one for each frame 16 MB. */
const TOLERANCE_BYTES = 100_000;
const MAX_ROUNDS = 12;

describe("a worker's loop", () => {
  it(`does not grow the heap over ${FRAMES} frames in both directions, learning and flooding included`, () => {
    const vtep = new MemoryVtep();
    const { bd, port } = vtep.tunnel(42);
    const remotes = ["192.0.2.2", "192.0.2.3"].map((address) => vtep.remote(bd, address, 42));
    vtep.flood(bd, remotes);
    vtep.tables.fdb.setStatic(bd, ...macWords("02:00:00:00:00:05"), remotes[0]!, 0, 1);
    for (let n = 0; n < FRAMES_A_BATCH / 4; n++) {
      vtep
        .fromTap({ port, dst: "02:00:00:00:00:05", hash: n })
        .fromTap({ port, dst: "ff:ff:ff:ff:ff:ff" })
        .fromUnderlay({ port: vtep.rxPort, from: "192.0.2.2", vni: 42, src: `02:00:00:00:01:0${n % 10}` })
        .fromUnderlay({
          port: vtep.rxPort,
          from: "192.0.2.3",
          vni: n % 2 === 0 ? 42 : 43,
          src: `02:00:00:00:01:0${n % 10}`,
        });
    }
    const { forwarder } = vtep.withoutRecording();
    for (let batch = 0; batch < BATCHES; batch++) forwarder.forward(FRAMES_A_BATCH);
    // Once is enough: the test runner's own threads and timers allocate too, and on a busy machine the compiler is late.
    let rounds = 0;
    let growth = Number.POSITIVE_INFINITY;
    for (; rounds < MAX_ROUNDS && growth >= TOLERANCE_BYTES; rounds++) {
      collect();
      const before = process.memoryUsage().heapUsed;
      for (let batch = 0; batch < BATCHES; batch++) forwarder.forward(FRAMES_A_BATCH);
      growth = process.memoryUsage().heapUsed - before;
    }
    expect(growth).toBeLessThan(TOLERANCE_BYTES);
    expect(vtep.counters.worker[2]).toBe((1 + rounds) * FRAMES);
  });
});
