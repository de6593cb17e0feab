/**
 * One change in a large file: `npx tsx bench/reload.ts [--tunnels 1000] [--rounds 5]`. Prints milliseconds of `vtepctl config reload` from
 * its start to its end, and of the daemon's own part, for a change that the tunnel takes over, one that makes it anew, one more tunnel, one
 * less, and none at all; and the answers that a ping every 2 ms through another tunnel missed meanwhile.
 *
 *     left: vtepd, vx1, vx2, ... --- 192.0.2.1 eth0 === eth0 192.0.2.2 :right, the kernel's vx1
 */
import { parseArgs } from "node:util";
import { RunningDaemon } from "../test/support/daemon.ts";
import { Lab } from "../test/support/lab.ts";
import { unixJson } from "../test/support/unix-http.ts";
import { confine } from "./confine.ts";
import { spreadText } from "./figure.ts";
import { spreadOf } from "./spread.ts";

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 300_000;

const { values } = parseArgs({
  options: { tunnels: { type: "string", default: "1000" }, rounds: { type: "string", default: "5" } },
});
const [tunnels, rounds] = [values.tunnels, values.rounds].map(Number) as [number, number];

confine(2);

/** @param last the keys of the last tunnel */
const file = (count: number, last = ""): string => {
  const lines = Array.from({ length: count }, (_, n) => {
    const vni = n + 1;
    const address = `10.${vni >> 8}.${vni & 255}.1/24`;
    const more = vni === count ? last : "";
    return `vx${vni}: { mode: vxlan, id: ${vni}, local: 192.0.2.1, remote: 192.0.2.2, addresses: [${address}]${more} }`;
  });
  return `{ ${lines.join(", ")} }`;
};

/** Each is what the one before it is not. */
const CHANGES: readonly (readonly [name: string, text: string])[] = [
  ["taken over", file(tunnels, ", ageing: 60")],
  ["made anew", file(tunnels, ", ageing: 60, fwmark: 7")],
  ["one more", file(tunnels + 1)],
  ["one less", file(tunnels)],
  ["none", file(tunnels)],
];

const lab = Lab.create();
try {
  const [left, right] = [lab.host("left"), lab.host("right")];
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  right.ip("link", "add", "vx1", ..."type vxlan id 1 dstport 4789 local 192.0.2.2 remote 192.0.2.1".split(" "));
  right.address("vx1", "10.0.1.2/24");
  const daemon = RunningDaemon.launch(left, file(tunnels));
  await daemon.child.waitForOutput(/vtepd is forwarding/, START_TIMEOUT_MS);
  left.run("ping", ["-c", "3", "-i", "0.2", "10.0.1.2"]);
  // Quiet: a pipe that nobody reads while vtepctl runs would stop it.
  const ping = left.spawn("ping", ["-q", "-i", "0.002", "10.0.1.2"]);
  const whole = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++) {
    for (const [name, text] of CHANGES) {
      daemon.rewrite(text);
      const since = performance.now();
      const { status, stderr } = daemon.vtepctl("config", "reload");
      if (status !== 0) throw new Error(stderr);
      whole.set(name, [...(whole.get(name) ?? []), performance.now() - since]);
    }
  }
  const inDaemonMs = async (query: string): Promise<number> => {
    const since = performance.now();
    await unixJson(daemon.socket, "POST", `/v1/config/reload${query}`, undefined);
    return performance.now() - since;
  };
  const [dryMs, wetMs] = [await inDaemonMs("?dry-run=true"), await inDaemonMs("")];
  ping.signal("SIGINT");
  await ping.exited;
  const [sent = 0, answered = 0] = [...ping.stdout.matchAll(/(\d+) (?:packets transmitted|received)/g)].map(([, n]) =>
    Number(n),
  );
  for (const [name, ms] of whole) process.stdout.write(`${name.padEnd(12)} ${spreadText(spreadOf(ms), 0)} ms\n`);
  process.stdout.write(`without a change, in the daemon: ${wetMs.toFixed(0)} ms, a dry run ${dryMs.toFixed(0)} ms\n`);
  // The last one may be on its way.
  process.stdout.write(`ping: ${Math.max(0, sent - answered - 1)} of ${sent} without an answer\n`);
  daemon.child.signal("SIGTERM");
  await daemon.child.wait(STOP_TIMEOUT_MS);
} finally {
  await lab.close();
}
