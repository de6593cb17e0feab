/**
 * The control socket beside forwarding: `npx tsx bench/control.ts [--entries 100000] [--tunnels 1000] [--cpus 4] [--workers 1]`.
 *
 * Each call is made twice: while nothing is forwarded, and while 64-byte frames come in at 70 % of what one worker took of
 * them at saturation. Beside each time stand the frames that were lost meanwhile, how much the daemon's memory rose above
 * what it was before (kernel's peak, reset before each call), and how long its main thread was blocked at most.
 *
 *     left: vtepd, vx1, vx2, ... --- 192.0.2.1 eth0 === eth0 192.0.2.2 :right, generator of VXLAN datagrams
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { RunningDaemon } from "../test/support/daemon.ts";
import { Lab } from "../test/support/lab.ts";
import { sleep } from "../test/support/wait-for.ts";
import { changeSeries, diskSeries } from "./change-series.ts";
import { confine } from "./confine.ts";
import { SteadyLoad } from "./steady-load.ts";
import { type Toll, TollGate } from "./toll.ts";

const VTEPCTL = fileURLToPath(new URL("../dist/vtepctl.js", import.meta.url));
/** Of saturation. */
const LOAD = 0.7;
const COLD_STARTS = 20;
/** Of calls one after the other. */
const SERIES_S = 2;
const CONNECTIONS = 8;
const START_TIMEOUT_MS = 60_000;
const SETTLE_MS = 3000;
const IN_FLIGHT = 8;
const WARM_UP_MS = 500;
/** MACs that single calls write, over and over. */
const SERIES_MACS = 10_000;
const BATCH_LINES = 10_000;

const { values } = parseArgs({
  options: {
    entries: { type: "string", default: "100000" },
    tunnels: { type: "string", default: "1000" },
    cpus: { type: "string", default: "4" },
    workers: { type: "string", default: "1" },
  },
});
const [entries, tunnels, cpus, workers] = [values.entries, values.tunnels, values.cpus, values.workers].map(Number) as [
  number,
  number,
  number,
  number,
];
confine(cpus);

const macOf = (n: number): string =>
  `02:10:${[n >> 24, n >> 16, n >> 8, n].map((byte) => (byte & 255).toString(16).padStart(2, "0")).join(":")}`;

class Caller {
  private readonly agent: Agent;
  private readonly socket: string;

  constructor(socket: string, connections: number) {
    this.socket = socket;
    this.agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** @throws Error for an answer of failure */
  async call(method: string, path: string, body?: string, type = "application/json"): Promise<string> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": type, "content-length": Buffer.byteLength(body) };
      const { agent, socket: socketPath } = this;
      request({ agent, socketPath, method, path, headers }, resolve).on("error", reject).end(body);
    });
    let text = "";
    for await (const chunk of response.setEncoding("utf8")) text += chunk;
    if (response.statusCode! >= 300) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
    return text;
  }

  close(): void {
    this.agent.destroy();
  }
}

/** Runs vtepctl; returns milliseconds and the lines it printed. */
const vtepctl = (socket: string, ...args: string[]): Promise<{ ms: number; lines: number }> =>
  new Promise((resolve, reject) => {
    const since = performance.now();
    const child = spawn(process.execPath, [VTEPCTL, "-socket", socket, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let lines = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      for (const byte of chunk) if (byte === 10) lines++;
    });
    child.on("close", (code) => {
      if (code === 0) resolve({ ms: performance.now() - since, lines });
      else reject(new Error(`vtepctl ${args.join(" ")} ended with ${code}`));
    });
  });

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const since = performance.now();
  await work();
  return performance.now() - since;
};

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;

const print = (what: string, wanted: string, got: string, toll?: Toll): void => {
  const cost =
    toll === undefined
      ? ""
      : `memory +${toll.grownMiB.toFixed(0).padStart(3)} MiB  blocked ${toll.blockedMs.toFixed(0).padStart(4)} ms  lost ${toll.lostText}`;
  process.stdout.write(`${what.padEnd(46)} ${wanted.padEnd(12)} ${got.padEnd(26)} ${cost}\n`);
};

const coldStart = async (socket: string): Promise<string> => {
  const times: number[] = [];
  for (let n = 0; n < COLD_STARTS; n++) times.push((await vtepctl(socket, "status")).ms);
  times.sort((a, b) => a - b);
  return `${quantile(times, 0.5).toFixed(0)} ms, p90 ${quantile(times, 0.9).toFixed(0)} ms`;
};

const seriesMac = (n: number): string => macOf((1 << 20) + (n % SERIES_MACS));
const seriesDst = (n: number): string => (n % 2 === 0 ? "192.0.2.2" : "192.0.2.3");
const seriesBody = (n: number): string =>
  JSON.stringify({ verb: "replace", mac: seriesMac(n), dst: seriesDst(Math.floor(n / SERIES_MACS) + n) });
const SERIES_PATH = "/v1/links/vx1/fdb";

/** One change a call, with a client that costs little; the first calls of a daemon are slow ones. */
const series = async (socket: string, inFlight: number): Promise<string> => {
  await changeSeries(socket, SERIES_PATH, seriesBody, { inFlight, ms: WARM_UP_MS });
  const rate = await changeSeries(socket, SERIES_PATH, seriesBody, { inFlight, ms: SERIES_S * 1000 });
  return `${rate.toFixed(0)}/s`;
};

/** The same with node:http. */
const httpSeries = async (socket: string, connections: number): Promise<string> => {
  const caller = new Caller(socket, connections);
  const until = performance.now() + SERIES_S * 1000;
  let count = 0;
  const work = async (): Promise<void> => {
    while (performance.now() < until) await caller.call("POST", SERIES_PATH, seriesBody(count++));
  };
  const ms = await timed(() => Promise.all(Array.from({ length: connections }, work)));
  caller.close();
  return `${((count * 1000) / ms).toFixed(0)}/s`;
};

const batch = async (socket: string): Promise<string> => {
  const line = (_: unknown, n: number): string => `fdb replace ${seriesMac(n)} dev vx1 dst ${seriesDst(n)}\n`;
  const file = join(dirname(socket), "batch");
  writeFileSync(file, Array.from({ length: BATCH_LINES }, line).join(""));
  const { ms } = await vtepctl(socket, "-b", file);
  return `${ms.toFixed(0)} ms, ${((BATCH_LINES * 1000) / ms).toFixed(0)}/s`;
};

const bulk = async (socket: string, verb: "replace" | "del"): Promise<string> => {
  const caller = new Caller(socket, 1);
  const changes = Array.from({ length: entries }, (_, n) =>
    verb === "del"
      ? { op: "fdb-del", dev: "vx1", mac: macOf(n) }
      : { op: "fdb", dev: "vx1", verb, mac: macOf(n), dst: n % 2 === 0 ? "192.0.2.2" : "192.0.2.3" },
  );
  const body = JSON.stringify({ changes });
  const ms = await timed(() => caller.call("POST", "/v1/changes", body));
  caller.close();
  return `${ms.toFixed(0)} ms, ${((entries * 1000) / ms).toFixed(0)}/s`;
};

const show = async (socket: string, ...flags: string[]): Promise<string> => {
  const { ms, lines } = await vtepctl(socket, ...flags, "fdb", "show", "dev", "vx1");
  if (lines < entries) throw new Error(`fdb show: ${lines} lines of ${entries}`);
  return `${ms.toFixed(0)} ms`;
};

const tunnelsYaml = (count: number, changed: number, key: string): string =>
  `{ ${Array.from({ length: count }, (_, n) => {
    const more = n === changed ? `, ${key}` : "";
    return `vx${n + 1}: { mode: vxlan, id: ${n + 1}, local: 192.0.2.1, remote: 192.0.2.2, macaddress: "${SteadyLoad.MAC}"${more} }`;
  }).join(", ")} }`;

const lab = Lab.create();
try {
  const [left, right] = [lab.host("left"), lab.host("right")];
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  const load = new SteadyLoad(left, right);

  const nodeFlags = process.env["VTEPD_NODE_FLAGS"]?.split(" ") ?? [];
  const one = await RunningDaemon.start(left, tunnelsYaml(1, -1, ""), { workers, nodeFlags });
  await sleep(SETTLE_MS);
  const { socket } = one;
  print("vtepctl status, cold", "< 120 ms", await coldStart(socket));
  const most = await load.saturation(1);
  print("64-byte frames at saturation", "", `${most.toFixed(0)}/s`);
  const gate = new TollGate(one.child.pid, socket);
  const measure = async (what: string, wanted: string, rate: number, work: () => Promise<string>): Promise<void> => {
    const [got, toll] = await gate.pass(rate === 0 ? undefined : load.at(rate, 1), work);
    print(what, wanted, got, toll);
  };
  for (const rate of [0, Math.floor(most * LOAD)]) {
    process.stdout.write(rate === 0 ? "\nnothing is forwarded\n" : `\n${rate} frames/s are forwarded\n`);
    await measure("no call", "", rate, async () => {
      await sleep(SERIES_S * 1000);
      return "";
    });
    await measure("vtepctl status, cold", "< 120 ms", rate, () => coldStart(socket));
    await measure(`${entries} entries in one call`, "< 1 s", rate, () => bulk(socket, "replace"));
    await measure(`the same again`, "< 1 s", rate, () => bulk(socket, "replace"));
    await measure("vtepctl fdb show", "< 1 s, 64 MiB", rate, () => show(socket));
    await measure("vtepctl -j -p -s fdb show", "", rate, () => show(socket, "-j", "-p", "-s"));
    await measure("disk alone, as the journal writes", "", rate, async () => {
      return `${diskSeries(dirname(socket), SERIES_S * 1000).toFixed(0)}/s`;
    });
    await measure("one by one, 1 connection", "2000/s", rate, () => series(socket, 1));
    await measure(`one by one, ${IN_FLIGHT} sent ahead`, "2000/s", rate, () => series(socket, IN_FLIGHT));
    await measure("one by one, 1 connection of node:http", "", rate, () => httpSeries(socket, 1));
    await measure(`one by one, ${CONNECTIONS} connections`, "2000/s", rate, () => httpSeries(socket, CONNECTIONS));
    await measure(`vtepctl -b, ${BATCH_LINES} lines`, "2000/s", rate, () => batch(socket));
    await measure(`${entries} entries deleted in one call`, "< 1 s", rate, () => bulk(socket, "del"));
  }
  await one.stop();

  const many = RunningDaemon.launch(left, tunnelsYaml(tunnels, -1, ""), { workers, nodeFlags });
  await many.child.waitForOutput(/vtepd is forwarding/, START_TIMEOUT_MS);
  await sleep(SETTLE_MS);
  process.stdout.write(`\n${tunnels} tunnels\n`);
  const wide = new TollGate(many.child.pid, many.socket);
  const caller = new Caller(many.socket, 1);
  const reload = (key: string) => async (): Promise<string> => {
    many.rewrite(tunnelsYaml(tunnels, tunnels - 1, key));
    return `${(await timed(() => caller.call("POST", "/v1/config/reload"))).toFixed(0)} ms`;
  };
  const add = async (): Promise<string> => {
    const settings = { name: "byhand", mode: "vxlan", id: tunnels + 1, local: "192.0.2.1", remote: "192.0.2.2" };
    return `${(await timed(() => caller.call("POST", "/v1/links", JSON.stringify(settings)))).toFixed(0)} ms`;
  };
  const drop = async (): Promise<string> =>
    `${(await timed(() => caller.call("DELETE", "/v1/links/byhand"))).toFixed(0)} ms`;
  const calls = [
    ["no call", "", () => sleep(SERIES_S * 1000).then(() => "")],
    ["reload, one changed in place", "< 1 s", reload("ageing: 60")],
    ["reload, one made anew", "< 1 s", reload("ageing: 60, port: 4790")],
    ["reload, nothing changed", "", reload("ageing: 60, port: 4790")],
    ["a tunnel more by hand", "", add],
    ["and deleted", "", drop],
  ] as const;
  const others = Math.min(tunnels - 1, 16);
  const mostOfMany = await load.saturation(others);
  print(`64-byte frames in ${others} tunnels at saturation`, "", `${mostOfMany.toFixed(0)}/s`);
  const beside = load.at(Math.floor(mostOfMany * LOAD), others);
  for (const [what, wanted, work] of calls) {
    const [got, toll] = await wide.pass(beside, work);
    print(what, wanted, got, toll);
  }
  caller.close();
  await many.stop();
} finally {
  await lab.close();
}
