/**
 * `npm run demo`: two hosts in network namespaces, vtepd on each, a ping and a TCP stream through the tunnel, then what
 * vtepctl shows. Every command is printed as a user would type it. Ends within 25 s, with status 1 if anything failed.
 */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Host } from "../test/support/host.ts";
import { Lab } from "../test/support/lab.ts";
import { bare, LEFT, OVERLAY_DEV, RIGHT } from "./arm.ts";
import { ROOT } from "./arms/by-label.ts";
import { type RunningVtepd, startVtepd } from "./arms/vtepd.ts";
import { confine, refusal } from "./confine.ts";

const STREAM_S = 4;
const LIMIT_MS = 25_000;
/** Of one command. */
const COMMAND_LIMIT_MS = 8000;

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const title = (text: string): void => say(`\n== ${text}`);

/** Shows a command with the host it runs on, runs it, shows what it says. Returns whether it succeeded. */
const show = (host: Host, command: string, args: readonly string[], shown = [command, ...args].join(" ")): boolean => {
  say(`\n${host.label}# ${shown}`);
  const result = host.exec(command, args, {
    timeoutMs: Math.max(1, Math.min(COMMAND_LIMIT_MS, LIMIT_MS - performance.now())),
  });
  say(`${result.stdout}${result.stderr}`.trimEnd());
  if (result.status !== 0) say(`(status ${result.status})`);
  return result.status === 0;
};

const vtepctl = (host: Host, { socket }: RunningVtepd, words: string): boolean => {
  const program = join(ROOT, "dist", "vtepctl.js");
  const args = [program, "-socket", socket, ...words.split(" ")];
  return show(host, process.execPath, args, `vtepctl -socket ${socket} ${words}`);
};

const startBoth = async (left: Host, right: Host): Promise<[RunningVtepd, RunningVtepd]> => {
  const program = join(ROOT, "dist", "vtepd.js");
  const running: RunningVtepd[] = [];
  for (const [host, end] of [
    [left, LEFT],
    [right, RIGHT],
  ] as const) {
    const vtepd = await startVtepd(host, end, program);
    say(`\n${host.label}# cat ${vtepd.configFile}\n${vtepd.config.trimEnd()}`);
    say(`${host.label}# vtepd --config ${vtepd.configFile} &`);
    running.push(vtepd);
  }
  return running as [RunningVtepd, RunningVtepd];
};

const stream = async (left: Host, right: Host): Promise<boolean> => {
  const address = bare(RIGHT.overlay);
  say(`\n${right.label}# iperf3 --server --one-off --bind ${address} &`);
  const server = right.spawn("iperf3", ["--server", "--one-off", "--bind", address, "--forceflush"]);
  await server.waitForOutput(/Server listening/);
  const done = show(left, "iperf3", ["--client", address, "--time", String(STREAM_S), "--connect-timeout", "3000"]);
  await server.stop();
  return done;
};

const demo = async (): Promise<boolean> => {
  const lab = Lab.create();
  try {
    title("Two hosts, each a network namespace, connected by a wire that behaves like one (no offloads across it)");
    const left = lab.host(LEFT.label);
    const right = lab.host(RIGHT.label);
    lab.wire(left, "eth0", right, "eth0", { addresses: [`${LEFT.local}/24`, `${RIGHT.local}/24`] });
    say(`
   ${LEFT.label}                                        ${RIGHT.label}
   ${OVERLAY_DEV}  ${LEFT.overlay}   <- overlay ->   ${OVERLAY_DEV}  ${RIGHT.overlay}
   vtepd                    VXLAN 42         vtepd
   eth0 ${LEFT.local}/24      <- underlay ->  eth0 ${RIGHT.local}/24`);

    title("One vtepd on each, from a file of ten lines");
    const [vtepd] = await startBoth(left, right);
    show(left, "ip", ["-brief", "address", "show", "dev", OVERLAY_DEV]);

    title("A ping through the tunnel: the first one also carries the ARP flood and teaches both FDBs");
    const pinged = show(left, "ping", ["-c", "3", "-i", "0.3", "-W", "2", bare(RIGHT.overlay)]);

    title(`One TCP stream for ${STREAM_S} s; both TCP stacks, both VTEPs and the wire share the CPUs of this machine`);
    const streamed = await stream(left, right);

    title("What the daemon on the left knows: learned MACs, the link, its counters");
    const shown = ["fdb show", "link show", "stats"].map((words) => vtepctl(left, vtepd, words));

    const failed = [
      ...(pinged ? [] : ["ping"]),
      ...(streamed ? [] : ["iperf3"]),
      ...(shown.every(Boolean) ? [] : ["vtepctl"]),
    ];
    title(
      failed.length === 0 ? "All of it worked. Nothing of it is left on this machine." : `FAILED: ${failed.join(", ")}`,
    );
    return failed.length === 0;
  } finally {
    await lab.close();
  }
};

const fail = (text: string): never => {
  process.stderr.write(`demo: ${text}\n`);
  process.exit(1);
};

const reason = refusal();
if (reason !== undefined) fail(reason);
for (const file of ["dist/vtepd.js", "dist/vtepctl.js"]) {
  if (!existsSync(join(ROOT, file))) fail(`${file} is missing: npm run build`);
}
confine(availableParallelism());
setTimeout(() => fail(`not finished after ${LIMIT_MS / 1000} s`), LIMIT_MS).unref();
try {
  process.exit((await demo()) ? 0 : 1);
} catch (error) {
  fail((error as Error).message);
}
