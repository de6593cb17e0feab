/** One measurement: a fresh pair of hosts, one arm, one workload. Nothing survives into the next. */
import type { Host } from "../test/support/host.ts";
import { Lab, type WireMode } from "../test/support/lab.ts";
import { waitFor } from "../test/support/wait-for.ts";
import { type Account, openAccount } from "./account.ts";
import { type Arm, bare, LEFT, type Place, RIGHT, type SetUp, UNDERLAY_DEV, USUAL, type Vtep } from "./arm.ts";
import { ownCpus } from "./confine.ts";
import { measureCpu } from "./cpu-time.ts";
import { LOAD_PROGRAM, loadResult } from "./load.ts";
import { misfit } from "./misfit.ts";
import { Unfit } from "./unfit.ts";
import type { RelayCounts, Sample, Workload } from "./workload.ts";

export interface TrialOptions {
  readonly mode: WireMode;
  readonly seconds: number;
  /** Load on the first CPU, VTEP programs on the last; default: the scheduler decides. */
  readonly pin: boolean;
}

export interface Trial {
  readonly sample: Sample;
  readonly account: Account;
}

const ADDRESSES = [`${LEFT.local}/24`, `${RIGHT.local}/24`] as const;
/** Of the relay, of all frames. */
const LOSS = "0.01";
const REORDER = "0.01";

/** Finishes when a frame has come back over the overlay: ARP, learning and both directions work. */
const ping = (from: Host, address: string): Promise<boolean> =>
  waitFor(() => from.exec("ping", ["-c", "1", "-W", "1", address]).status === 0, {
    timeoutMs: 5000,
    what: `a ping to ${address} over the overlay`,
  });

type StopRelay = () => Promise<RelayCounts>;

/** A host between the two whose only program carries, loses and delays frames. */
const wireByRelay = async (lab: Lab, left: Host, right: Host, mtu: number): Promise<StopRelay> => {
  const between = lab.host("relay");
  lab.wire(left, UNDERLAY_DEV, between, "west", { mtu });
  lab.wire(right, UNDERLAY_DEV, between, "east", { mtu });
  left.address(UNDERLAY_DEV, ADDRESSES[0]);
  right.address(UNDERLAY_DEV, ADDRESSES[1]);
  for (const dev of ["west", "east"]) between.run("ethtool", ["-K", dev, "gro", "off"]);
  const relay = between.spawn(LOAD_PROGRAM, [
    "relay",
    ...["--dev", "west", "--peer", "east"],
    ...["--loss", LOSS, "--reorder", REORDER],
  ]);
  await relay.waitForOutput(/^ready/m);
  return async () => {
    await relay.stop();
    const { dropped = 0, reordered = 0 } = loadResult(relay);
    return { dropped, reordered };
  };
};

const wire = (lab: Lab, left: Host, right: Host, setUp: SetUp, mode: WireMode): void => {
  lab.wire(left, UNDERLAY_DEV, right, UNDERLAY_DEV, { mode, mtu: setUp.underlayMtu, addresses: ADDRESSES });
  for (const address of setUp.floodList) {
    if (address !== RIGHT.local) right.ip("address", "add", `${address}/24`, "dev", UNDERLAY_DEV);
  }
};

/** @throws Unfit when arm and workload do not go together */
export const runTrial = async (arm: Arm, workload: Workload, options: TrialOptions): Promise<Trial> => {
  const { topology } = workload;
  const { mode } = options;
  const reason = misfit(arm, workload, mode);
  if (reason !== undefined) throw new Unfit(reason);
  const cpus = ownCpus();
  const placeOn =
    (cpu: number | undefined): Place =>
    (command) =>
      (options.pin ? ["taskset", "-c", String(cpu), ...command] : command) as readonly [string, ...string[]];

  const lab = Lab.create();
  try {
    const left = lab.host(LEFT.label);
    const right = lab.host(RIGHT.label);
    const setUp = { ...USUAL, ...workload.setUp };
    let stopRelay: StopRelay | undefined;
    if (topology === "relayed") stopRelay = await wireByRelay(lab, left, right, setUp.underlayMtu);
    else wire(lab, left, right, setUp, mode);
    const context = { place: placeOn(cpus.at(-1)), setUp, mode, topology };
    const rightVtep: Vtep | undefined = topology === "sender" ? undefined : await arm.start(right, RIGHT, context);
    const leftVtep: Vtep | undefined = topology === "receiver" ? undefined : await arm.start(left, LEFT, context);
    if (leftVtep !== undefined && rightVtep !== undefined) await ping(left, bare(RIGHT.overlay));
    const pids = [leftVtep, rightVtep].flatMap((vtep) => vtep?.pids ?? []);
    const close = await openAccount(
      [
        { host: left, vtep: leftVtep },
        { host: right, vtep: rightVtep },
      ],
      cpus,
    );
    const sample = await workload.run({
      left,
      right,
      leftVtep,
      rightVtep,
      stopRelay,
      seconds: options.seconds,
      place: placeOn(cpus[0]),
      measure: () => measureCpu(pids, cpus),
    });
    return { sample, account: await close() };
  } finally {
    await lab.close();
  }
};
