/**
 * What a capture costs while it runs, and what it loses: `npx tsx bench/capture.ts [--cpus 4] [--workers 1] [--rounds 3]`, two minutes.
 *
 * 64-byte frames come in as fast as the generator makes them, which is more than one worker takes, and once more at 70 % of
 * what it took without a capture. Each kind of capture has the frames that arrived all the same, of them the share that there
 * is without any capture in the same round, and how many packets are in the capture and how many it says to have lost.
 *
 *     left: vtepd, vx1 --- 192.0.2.1 eth0 === eth0 192.0.2.2 :right, generator of VXLAN datagrams
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Child } from "../test/support/child.ts";
import { RunningDaemon } from "../test/support/daemon.ts";
import type { Host } from "../test/support/host.ts";
import { Lab } from "../test/support/lab.ts";
import { sleep } from "../test/support/wait-for.ts";
import { confine } from "./confine.ts";
import { SteadyLoad } from "./steady-load.ts";

const VTEPCTL = fileURLToPath(new URL("../dist/vtepctl.js", import.meta.url));
const SETTLE_MS = 3000;
const BEGIN_MS = 500;
const LOADED_MS = 2000;
/** Of saturation. */
const LOAD = 0.7;

/** Lines of a shell. */
const CAPTURES: readonly (readonly [what: string, line: string])[] = [
  ["no capture", ""],
  ["a filter that nothing passes", "filter 'host 203.0.113.1 and tcp port 80' write /dev/null"],
  ["inner, 64 bytes, to /dev/null", "inner snaplen 64 write /dev/null"],
  ["inner and outer, whole, to /dev/null", "write /dev/null"],
  ["inner and outer, into tcpdump -w", "write - | tcpdump -r - -w /dev/null 2>/dev/null"],
];

const { values } = parseArgs({
  options: {
    cpus: { type: "string", default: "4" },
    workers: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
  },
});
const [cpus, workers, rounds] = [values.cpus, values.workers, values.rounds].map(Number) as [number, number, number];
confine(cpus);

const begin = async (host: Host, socket: string, line: string): Promise<Child | undefined> => {
  if (line === "") return undefined;
  const [words, pipe] = line.split(" | ");
  const vtepctl = `${process.execPath} ${VTEPCTL} -socket ${socket} capture ${words}`;
  // The shell's pid is vtepctl's where there is no pipe; else the last line is what asks it to end.
  const child = host.spawn("sh", ["-c", pipe === undefined ? `exec ${vtepctl}` : `${vtepctl} | ${pipe}`]);
  await sleep(BEGIN_MS);
  return child;
};

/** Ends a capture; what it says of itself. */
const end = async (host: Host, child: Child | undefined): Promise<string> => {
  if (child === undefined) return "";
  host.exec("sh", ["-c", `kill -INT $(pgrep -f '^[^ ]*node [^ ]*vtepctl.js .* capture')`]);
  await child.exited;
  const [, captured, dropped] = /(\d+) packets? captured\n(\d+) packets? dropped/.exec(child.stderr) ?? [];
  const share = Number(dropped) / Math.max(1, Number(captured) + Number(dropped));
  return `captured ${captured}, dropped ${dropped} (${(100 * share).toFixed(1)} %)`;
};

const lab = Lab.create();
try {
  const [left, right] = [lab.host("left"), lab.host("right")];
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  const load = new SteadyLoad(left, right);
  const tunnel = `mode: vxlan, id: 1, local: 192.0.2.1, remote: 192.0.2.2, macaddress: "${SteadyLoad.MAC}"`;
  const daemon = await RunningDaemon.start(left, `{ vx1: { ${tunnel} } }`, { workers });
  await sleep(SETTLE_MS);
  await load.saturation(1); // compilers warm up
  for (let round = 1; round <= rounds; round++) {
    let most = 0;
    for (const [what, line] of CAPTURES) {
      const child = await begin(left, daemon.socket, line);
      const rate = await load.saturation(1);
      if (line === "") most = rate;
      const said = await end(left, child);
      process.stdout.write(`${what.padEnd(40)} ${rate.toFixed(0)}/s ${((100 * rate) / most).toFixed(0)} %  ${said}\n`);
    }
    const steady = Math.floor(most * LOAD);
    for (const [what, line] of CAPTURES) {
      const child = await begin(left, daemon.socket, line);
      const [, { sent, lost }] = await load.at(steady, 1).during(() => sleep(LOADED_MS));
      const said = await end(left, child);
      const delivered = `frames lost ${lost} of ${sent} at ${steady}/s`;
      process.stdout.write(`${what.padEnd(40)} ${delivered}  ${said}\n`);
    }
  }
  await daemon.stop();
} finally {
  await lab.close();
}
