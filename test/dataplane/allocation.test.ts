/** The loop allocates nothing: otherwise the collector would stop a worker while frames pile up in its queues. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { BATCH_FRAMES, STATUS_NOW_MS } from "../../src/binding/abi.ts";
import { BD_NEIGHBOURS, BD_VLAN } from "../../src/dataplane/bridge-domain.ts";
import { ANSWER } from "../../src/dataplane/neighbourhood.ts";
import { BROADCAST } from "../../src/dataplane/policers.ts";
import { VLAN_DROP } from "../../src/dataplane/vlan-tags.ts";
import { MemoryVtep, macWords } from "../support/memory-io.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const BATCHES = 16_000;
const FRAMES_A_BATCH = BATCH_FRAMES / 4;
const FRAMES = BATCHES * FRAMES_A_BATCH;
/** One heap number for each batch would be 256 kB; one for each frame 16 MB. */
const TOLERANCE_BYTES = 100_000;
const MAX_ROUNDS = 12;

/** What is off by default. Of the flooded frames some pass their policers. */
const turnOn = ({ tables }: MemoryVtep, bd: number): void => {
  tables.bridgeDomains.set(bd, BD_NEIGHBOURS, ANSWER);
  tables.bridgeDomains.set(bd, BD_VLAN, VLAN_DROP);
  tables.policers.set(bd, BROADCAST, 999, 7);
  tables.sourcePolicers.set(bd, BROADCAST, 1777, 7);
};

describe("a worker's loop", () => {
  it.each([
    ["", false],
    [", with policers, suppression and VLAN tags refused", true],
  ])(`does not grow the heap over ${FRAMES} frames in both directions, learning and flooding included%s`, (_, isOn) => {
    const vtep = new MemoryVtep();
    const { bd, port } = vtep.tunnel(42, { isFair: isOn, isDamped: isOn, limitPerRemote: isOn ? 8 : 0 });
    if (isOn) turnOn(vtep, bd);
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
    const { status } = vtep.batch;
    const forward = (): void => {
      for (let batch = 0; batch < BATCHES; batch++) {
        status[STATUS_NOW_MS] = (status[STATUS_NOW_MS]! + 1) & 0x7fffffff;
        forwarder.forward(FRAMES_A_BATCH);
      }
    };
    forward();
    // Once is enough: the test runner's own threads and timers allocate too, and on a busy machine the compiler is late.
    let rounds = 0;
    let growth = Number.POSITIVE_INFINITY;
    for (; rounds < MAX_ROUNDS && growth >= TOLERANCE_BYTES; rounds++) {
      collect();
      const before = process.memoryUsage().heapUsed;
      forward();
      growth = process.memoryUsage().heapUsed - before;
    }
    expect(growth).toBeLessThan(TOLERANCE_BYTES);
    expect(vtep.counters.worker[2]).toBe((1 + rounds) * FRAMES);
  });
});
