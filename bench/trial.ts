/** One measurement: a fresh pair of hosts, one arm, one workload. Nothing survives into the next. */
import type { Host } from "../test/support/host.ts";
import { Lab, type WireMode } from "../test/support/lab.ts";
import { waitFor } from "../test/support/wait-for.ts";
import { type Arm, bare, LEFT, RIGHT, type Vtep } from "./arm.ts";
import { ownCpus } from "./confine.ts";
import { measureCpu } from "./cpu-time.ts";
import type { Sample, Workload } from "./workload.ts";

export interface TrialOptions {
  readonly mode: WireMode;
  readonly seconds: number;
  /** Load on the first CPU, VTEP programs on the last; default: the scheduler decides. */
  readonly pin: boolean;
}

type Place = (command: readonly string[]) => readonly [string, ...string[]];

/** Finishes when a frame has come back over the overlay: ARP, learning and both directions work. */
const ping = (from: Host, address: string): Promise<boolean> =>
  waitFor(() => from.exec("ping", ["-c", "1", "-W", "1", address]).status === 0, {
    timeoutMs: 5000,
    what: `a ping to ${address} over the overlay`,
  });

export const runTrial = async (arm: Arm, workload: Workload, options: TrialOptions): Promise<Sample> => {
  const cpus = ownCpus();
  const placeOn =
    (cpu: number | undefined): Place =>
    (command) =>
      (options.pin ? ["taskset", "-c", String(cpu), ...command] : command) as readonly [string, ...string[]];
  const placeVtep = placeOn(cpus.at(-1));

  const lab = Lab.create();
  try {
    const left = lab.host(LEFT.label);
    const right = lab.host(RIGHT.label);
    lab.wire(left, "eth0", right, "eth0", {
      mode: options.mode,
      addresses: [`${LEFT.local}/24`, `${RIGHT.local}/24`],
    });
    const vteps: Vtep[] = [await arm.start(right, RIGHT, { place: placeVtep })];
    if (workload.topology === "pair") {
      vteps.push(await arm.start(left, LEFT, { place: placeVtep }));
      await ping(left, bare(RIGHT.overlay));
    }
    const pids = vteps.flatMap((vtep) => vtep.pids);
    return await workload.run({
      left,
      right,
      seconds: options.seconds,
      place: placeOn(cpus[0]),
      measure: () => measureCpu(pids, cpus),
    });
  } finally {
    await lab.close();
  }
};
