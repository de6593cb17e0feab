/**
 * W14: two vtepd at full load for a long time. `tsx bench/soak.ts [--minutes N]`, default 30.
 *
 * One TCP stream each way and a flood of 64-byte frames run all the time. Every ten seconds the resident memory of both
 * daemons is read. It fails when memory grew after the first minute by more than GROWTH_MIB, when a worker's heap was
 * collected, or when a frame was dropped for a reason that full queues do not explain.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { RunningDaemon } from "../test/support/daemon.ts";
import { Lab } from "../test/support/lab.ts";
import { sleep } from "../test/support/wait-for.ts";
import { confine } from "./confine.ts";
import { LOAD_PROGRAM } from "./load.ts";

const GROWTH_MIB = 4;
const SAMPLE_S = 10;
/** What overload is expected to cost: frames that found a queue full. */
const EXPLAINED = new Set(["full_ring"]);

const { values } = parseArgs({ options: { minutes: { type: "string", default: "30" } } });
const seconds = Number(values.minutes) * 60;
if (!(seconds > 60)) throw new Error(`--minutes: expected more than 1, got ${values.minutes}`);
confine(2);

const lab = Lab.create();
const [left, right] = [lab.host("left"), lab.host("right")];
lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
const start = (host: typeof left, n: number): Promise<RunningDaemon> =>
  RunningDaemon.start(
    host,
    `{ ov0: { mode: vxlan, id: 42, local: 192.0.2.${n}, remote: 192.0.2.${3 - n}, addresses: [198.51.100.${n}/24] } }`,
    { nodeFlags: ["--trace-gc"] },
  );
const daemons = [await start(left, 1), await start(right, 2)];

const residentMiB = ({ child }: RunningDaemon): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024;
/** Collections of heaps other than the main thread's, whose is the first. */
const workerCollections = ({ child }: RunningDaemon): number => {
  const heaps = [...child.stdout.matchAll(/(0x[0-9a-f]+)\] +\d+ ms: /g)].map(([, heap]) => heap);
  return heaps.filter((heap) => heap !== heaps[0]).length;
};

right.spawn("iperf3", ["--server", "--bind", "198.51.100.2"]);
right.spawn(LOAD_PROGRAM, ["udp-sink", "--port", "9999"]);
await sleep(500);
const stream = left.spawn("iperf3", ["--client", "198.51.100.2", "--bidir", "--time", String(seconds), "--json"]);
left.spawn(LOAD_PROGRAM, [
  "udp-send",
  "--to",
  "198.51.100.2",
  "--port",
  "9999",
  "--size",
  "64",
  "--rate",
  "50000",
  "--seconds",
  String(seconds),
]);

const samples: number[][] = [];
const collectionsAfter: number[] = [];
for (let elapsed = 0; elapsed < seconds; elapsed += SAMPLE_S) {
  await sleep(SAMPLE_S * 1000);
  samples.push(daemons.map(residentMiB));
  if (elapsed < 60) collectionsAfter.splice(0, 2, ...daemons.map(workerCollections));
  process.stderr.write(
    `${elapsed + SAMPLE_S} s: resident ${samples
      .at(-1)!
      .map((mib) => mib.toFixed(1))
      .join(" and ")} MiB\n`,
  );
}

const settled = samples[60 / SAMPLE_S - 1]!;
const result = daemons.map((daemon, n) => ({
  residentMiB: {
    afterAMinute: settled[n]!,
    atTheEnd: samples.at(-1)![n]!,
    most: Math.max(...samples.map((row) => row[n]!)),
  },
  workerCollections: workerCollections(daemon) - collectionsAfter[n]!,
  drops: { encap: daemon.drops("encap"), decap: daemon.drops("decap"), socket: daemon.drops("socket") },
  packets: daemon.stats().links[0]!.rx.packets,
}));
await stream.wait(20_000);
const { end } = JSON.parse(stream.stdout) as { end: { sum_received: { bits_per_second: number } } };
await lab.close();
const report = { minutes: seconds / 60, gbitPerS: end.sum_received.bits_per_second / 1e9, daemons: result };
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
const failed = result.some(
  ({ residentMiB: memory, workerCollections: collections, drops }) =>
    memory.atTheEnd - memory.afterAMinute > GROWTH_MIB ||
    collections > 0 ||
    Object.values(drops).some((reasons) => Object.keys(reasons).some((reason) => !EXPLAINED.has(reason))),
);
process.exitCode = failed ? 1 : 0;
