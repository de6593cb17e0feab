import { describe, expect, it } from "vitest";
import { Watchdog } from "../../src/daemon/watchdog.ts";
import { captureLog } from "../support/log-capture.ts";

/** Workers that go round when woken, but for those that are stuck. */
class ScriptedWorkers {
  rounds = [0, 0, 0];
  readonly stuck = new Set<number>();

  wake(): void {
    this.rounds = this.rounds.map((round, worker) => (this.stuck.has(worker) ? round : round + 1));
  }
}

const setUp = () => {
  const workers = new ScriptedWorkers();
  const { log, lines } = captureLog();
  let fed = 0;
  const watchdog = new Watchdog({ live: () => fed++ }, workers, log);
  const tick = (): number => {
    const before = fed;
    watchdog.tick();
    return fed - before;
  };
  return { workers, lines, tick };
};

describe("the watchdog", () => {
  it("is fed while all workers move, idle ones because they are woken", () => {
    const { tick } = setUp();
    expect([tick(), tick(), tick()]).toEqual([1, 1, 1]);
  });

  it("is not fed while a single worker stands still, says which one once, and is fed again when it moves", () => {
    const { workers, lines, tick } = setUp();
    workers.stuck.add(1);
    expect(tick()).toBe(1); // it moved before
    expect([tick(), tick()]).toEqual([0, 0]);
    expect(lines).toEqual([expect.objectContaining({ worker: 1, code: "ERR_WORKER" })]);
    workers.stuck.clear();
    tick();
    expect(tick()).toBe(1);
  });
});
