/**
 * Many tunnels on one UDP port: `npx tsx bench/scale.ts [--tunnels 4094] [--rounds 3] [--seconds 2] [--workers 1]`.
 *
 * Each round starts a daemon with one tunnel and one with many, and reads off each: time until it forwards, memory (the most it
 * had itself in a life with many scrapes, and what the kernel's grew by), time of the first scrape, 64-byte frames a second in both directions at saturation, and time
 * until it has stopped. Frames go through one tunnel, and with many also through all of them in turn, a call's frames each.
 *
 *     left: vtepd, vx1, vx2, ... --- 192.0.2.1 eth0 === eth0 192.0.2.2 :right, generator of VXLAN datagrams, sink
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { RunningDaemon } from "../test/support/daemon.ts";
import type { Host } from "../test/support/host.ts";
import { Lab } from "../test/support/lab.ts";
import { unixHttp } from "../test/support/unix-http.ts";
import { sleep } from "../test/support/wait-for.ts";
import { VXLAN_PORT } from "./arm.ts";
import { confine } from "./confine.ts";
import { spreadText } from "./figure.ts";
import { LOAD_PROGRAM, type LoadOptions, loadArgs, loadResult, SINK_PORT, UNDERLAY_SKIP } from "./load.ts";
import { spreadOf } from "./spread.ts";

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 300_000;
const WARMUP_S = 0.5;
/** IPv6 has things to say on each new device (MLD, neighbour discovery), and is heard by none. */
const SETTLE_MS = 8000;
const FIRST_VNI = 1;
/** More garbage than V8 likes to have. */
const SCRAPES = 20;
const MAC = "02:00:00:00:00:01";
const OUTSIDE_MAC = "02:00:00:00:00:02";
const INSIDE = "198.51.100.1";
const OUTSIDE = "198.51.100.2";

interface Sample {
  readonly startS: number;
  readonly stopS: number;
  readonly scrapeS: number;
  readonly residentMiB: number;
  readonly kernelMiB: number;
  readonly receivedOne: number;
  readonly receivedAll: number;
  readonly sentOne: number;
  readonly sentAll: number;
}

const { values } = parseArgs({
  options: {
    tunnels: { type: "string", default: "4094" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    workers: { type: "string", default: "1" },
  },
});
const [tunnels, rounds, seconds, workers] = [values.tunnels, values.rounds, values.seconds, values.workers].map(Number);
confine(2);

const kiB = (file: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(file, "utf8"))?.[1]);
/** What devices, descriptors and sockets are made of. */
const kernelMiB = (): number =>
  ["SUnreclaim", "Percpu", "KernelStack", "PageTables"].reduce((sum, name) => sum + kiB("/proc/meminfo", name), 0) /
  1024;

const inSeconds = async (work: () => Promise<unknown>): Promise<number> => {
  const since = performance.now();
  await work();
  return (performance.now() - since) / 1000;
};

/** Frames a second that reach the sink. */
const saturate = async (
  from: Host,
  verb: string,
  options: LoadOptions,
  to: Host,
  sinkOptions: LoadOptions,
): Promise<number> => {
  const once = async (forSeconds: number): Promise<number> => {
    const sink = to.spawn(LOAD_PROGRAM, ["udp-sink", ...loadArgs(sinkOptions)]);
    await sink.waitForOutput(/^ready/m);
    const source = from.spawn(LOAD_PROGRAM, [verb, ...loadArgs({ ...options, size: 64, seconds: forSeconds })]);
    await source.wait(forSeconds * 1000 + 10_000);
    await sleep(300);
    await sink.stop();
    return loadResult(sink)["received"]! / forSeconds;
  };
  await once(WARMUP_S);
  return once(seconds!);
};

const measure = async (count: number): Promise<Sample> => {
  const lab = Lab.create();
  try {
    const [left, right] = [lab.host("left"), lab.host("right")];
    lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
    // Frames of any tunnel are for this host.
    left.address("lo", `${INSIDE}/32`);
    for (const scope of ["all", "default"]) left.sysctl(`net.ipv4.conf.${scope}.rp_filter`, 0);
    left.ip("route", "add", `${OUTSIDE}/32`, "dev", "eth0");
    const lines = Array.from(
      { length: count },
      (_, n) =>
        `vx${n + 1}: { mode: vxlan, id: ${FIRST_VNI + n}, local: 192.0.2.1, remote: 192.0.2.2, macaddress: "${MAC}" }`,
    );
    const before = kernelMiB();
    const since = performance.now();
    const daemon = RunningDaemon.launch(left, `{ ${lines.join(", ")} }`, { workers: workers! });
    await daemon.child.waitForOutput(/vtepd is forwarding/, START_TIMEOUT_MS);
    const startS = (performance.now() - since) / 1000;
    const scrapeS = await inSeconds(() => unixHttp({ socket: daemon.socket, path: "/metrics" }));
    const grown = kernelMiB() - before;
    await sleep(SETTLE_MS);

    const inner = { "inner-src": OUTSIDE, "inner-dst": INSIDE, "inner-port": SINK_PORT };
    const received = (spread: number): Promise<number> => {
      const macs = { "inner-src-mac": OUTSIDE_MAC, "inner-dst-mac": MAC };
      const options = { to: "192.0.2.1", port: VXLAN_PORT, vni: FIRST_VNI, ...macs, ...inner, gso: true };
      return saturate(right, "vxlan-send", { ...options, rate: 0, tunnels: spread }, left, { port: SINK_PORT });
    };
    const sent = (spread: number): Promise<number> => {
      const macs = { "inner-src-mac": MAC, "inner-dst-mac": OUTSIDE_MAC };
      const options = { dev: spread === 1 ? "vx1" : "vx", ...macs, ...inner, rate: 0, tunnels: spread };
      return saturate(left, "tap-send", options, right, { port: VXLAN_PORT, skip: UNDERLAY_SKIP });
    };
    const rates = {
      receivedOne: await received(1),
      receivedAll: await received(count),
      sentOne: await sent(1),
      sentAll: await sent(count),
    };
    for (let n = 0; n < SCRAPES; n++) await unixHttp({ socket: daemon.socket, path: "/metrics" });
    const residentMiB = kiB(`/proc/${daemon.child.pid}/status`, "VmHWM") / 1024;
    const stopS = await inSeconds(() => {
      daemon.child.signal("SIGTERM");
      return daemon.child.wait(STOP_TIMEOUT_MS);
    });
    return { startS, stopS, scrapeS, residentMiB, kernelMiB: grown, ...rates };
  } finally {
    await lab.close();
  }
};

const one: Sample[] = [];
const many: Sample[] = [];
for (let round = 0; round < rounds!; round++) {
  const arms = [
    [1, one],
    [tunnels!, many],
  ] as const;
  for (const [count, samples] of round % 2 === 0 ? arms : arms.toReversed()) {
    samples.push(await measure(count));
    process.stderr.write(`round ${round + 1}: ${count} tunnels: ${JSON.stringify(samples.at(-1))}\n`);
  }
}

const row = (name: string, digits: number, read: (sample: Sample) => number): string =>
  [name.padEnd(34), ...[one, many].map((samples) => spreadText(spreadOf(samples.map(read)), digits).padEnd(34))].join(
    "",
  );
const ratio = (name: string, read: (sample: Sample) => number, base: (sample: Sample) => number): string =>
  `${name}: ${spreadText(spreadOf(many.map((sample, round) => read(sample) / base(one[round]!))), 2)} of one tunnel's`;
process.stdout.write(
  `${[
    ["".padEnd(34), "1 tunnel".padEnd(34), `${tunnels} tunnels`].join(""),
    row("start, s", 2, ({ startS }) => startS),
    row("memory of the daemon, MiB", 0, ({ residentMiB }) => residentMiB),
    row("memory of the kernel, MiB", 0, ({ kernelMiB: kernel }) => kernel),
    row("first scrape, s", 2, ({ scrapeS }) => scrapeS),
    row("stop, s", 2, ({ stopS }) => stopS),
    row("received through one, frames/s", 0, ({ receivedOne }) => receivedOne),
    row("received through all, frames/s", 0, ({ receivedAll }) => receivedAll),
    row("sent through one, frames/s", 0, ({ sentOne }) => sentOne),
    row("sent through all, frames/s", 0, ({ sentAll }) => sentAll),
    ratio(
      "received through one",
      (sample) => sample.receivedOne,
      (sample) => sample.receivedOne,
    ),
    ratio(
      "received through all",
      (sample) => sample.receivedAll,
      (sample) => sample.receivedOne,
    ),
    ratio(
      "sent through one",
      (sample) => sample.sentOne,
      (sample) => sample.sentOne,
    ),
    ratio(
      "sent through all",
      (sample) => sample.sentAll,
      (sample) => sample.sentOne,
    ),
  ].join("\n")}\n`,
);
