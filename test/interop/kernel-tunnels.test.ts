/**
 *   hub (vtepd)                                           guest, user-mode-linux (vtepd, and the kernel's own tunnels)
 *     to-guest 192.0.2.2 / 2001:db8::2 === eth0 192.0.2.1 / 2001:db8::1
 *
 * Modules of the guest's kernel answer what is for vtepd with ICMP errors. Packets pass all the same; it is noticed, and the
 * cure that is offered works.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { requests } from "../support/requests.ts";
import { UmlPeer } from "../support/uml-peer.ts";

/** Node's heap, the daemon's tables and the guest itself. */
const GUEST_MB = 512;
/** Asked for twice a second: asking takes from the one processor. */
const START_S = 60;
const vtepd = `${process.execPath} ${process.cwd()}/dist/vtepd.js --config /run/vtepd.yaml`;
const vtepctl = `${process.execPath} ${process.cwd()}/dist/vtepctl.js -socket /run/control.sock`;

const TUNNELS = [
  { mode: "gre", modules: "ip_gre", overlay: "10.1.0." },
  { mode: "ipip", modules: "ipip,tunnel4", overlay: "10.2.0." },
  { mode: "sit", modules: "sit,tunnel4", overlay: "fd00:3::" },
  { mode: "ip6gre", modules: "ip6_gre", overlay: "10.4.0." },
  { mode: "ip6tnl", modules: "ip6_tunnel,tunnel6", overlay: "10.5.0." },
] as const;

const tunnels = (n: number): string => {
  const rows = TUNNELS.map(({ mode, overlay }) => {
    const under = (end: number): string => (mode.startsWith("ip6") ? `2001:db8::${end}` : `192.0.2.${end}`);
    const address = `${overlay}${n}/${overlay.includes(":") ? 64 : 24}`;
    return `ov-${mode}: { mode: ${mode}, local: "${under(n)}", remote: "${under(3 - n)}", addresses: ["${address}"] }`;
  });
  return `{ ${rows.join(", ")} }`;
};

let lab: Lab;
let hub: Host;
let guest: UmlPeer;

beforeAll(async () => {
  lab = Lab.create();
  hub = lab.host("hub");
  hub.ip("tuntap", "add", "dev", "to-guest", "mode", "tap");
  hub.ip("link", "set", "to-guest", "up");
  hub.address("to-guest", "192.0.2.2/24");
  hub.address("to-guest", "2001:db8::2/64");
  guest = await UmlPeer.start(hub, "to-guest", undefined, GUEST_MB);
  await guest.run("/run/modprobe tun");
  await guest.run("ip address add 192.0.2.1/24 dev eth0 && ip address add 2001:db8::1/64 dev eth0 nodad");
  const lines = [
    "version: 1",
    "daemon: { control: { socket: /run/control.sock }, workers: 1 }",
    `tunnels: ${tunnels(1)}`,
  ];
  await guest.run(`printf '%s\\n' ${lines.map((line) => `'${line}'`).join(" ")} >/run/vtepd.yaml`);
  await RunningDaemon.start(hub, tunnels(2));
});

afterAll(async () => {
  await guest?.stop();
  await lab.close();
});

const startDaemon = async (): Promise<void> => {
  await guest.run(`setsid ${vtepd} >/run/log 2>&1 & echo $! >/run/pid`);
  await guest.run(
    `for n in $(seq ${START_S * 2}); do grep -q forwarding /run/log && exit; sleep 0.5; done; cat /run/log; exit 1`,
    START_S * 2000,
  );
};
const stopDaemon = (): Promise<string> =>
  guest.run("kill $(cat /run/pid); while [ -d /sys/class/net/ov-gre ]; do sleep 0.3; done");

const show = (mode: string): Promise<string> => guest.run(`${vtepctl} -d link show ov-${mode}`);

/** Which overlays the hub reaches, and how many ICMP errors it gets for that. */
const errorsOf = async (overlay: string): Promise<number> => {
  const filter = "(icmp and icmp[icmptype] == icmp-unreach) or (icmp6 and ip6[40] == 1)";
  const capture = hub.spawn("tcpdump", ["-nnlt", "--immediate-mode", "-i", "to-guest", filter]);
  await capture.waitForOutput(/listening/);
  expect(hub.run("ping", [...requests(3), `${overlay}1`])).toContain(" 0% packet loss");
  await capture.stop();
  return capture.stdout.split("\n").filter((line) => line.includes("unreachable")).length;
};

it("is noticed when the kernel has the protocols too, and ends with the cure", async () => {
  await startDaemon();
  for (const { mode, overlay } of TUNNELS) {
    expect(await show(mode)).not.toContain("kernel-modules");
    expect(await errorsOf(overlay)).toBe(0);
  }
  expect(await guest.run("cat /run/log")).not.toContain("kernel's own tunnels");

  await guest.run("/run/modprobe -a ip_gre ipip sit ip6_gre ip6_tunnel");
  for (const { mode, modules, overlay } of TUNNELS) {
    expect(await show(mode)).toContain(` kernel-modules ${modules} `);
    expect(await errorsOf(overlay)).toBeGreaterThan(0);
  }

  await stopDaemon();
  await startDaemon();
  const log = await guest.run("cat /run/log");
  const cures = [...log.matchAll(/"cure":"`modprobe -r ([^`]+)`, or `([^`]+)`"/g)].map(([, names, nft]) => ({
    names,
    nft,
  }));
  expect(cures.map(({ names }) => names).sort()).toEqual(
    ["ip6_gre", "ip6_tunnel tunnel6", "ip6_tunnel tunnel6", "ip_gre", "ipip tunnel4", "sit tunnel4"].sort(),
  );
  // The guest's kernel has no filter for nft: the line is tried at the hub, where packets have to come in all the same.
  for (const { nft } of cures) {
    const [, commands] = /^nft '(.*)'$/.exec(nft!)!;
    hub.run("nft", [commands!.replaceAll("192.0.2.1", "192.0.2.2").replaceAll("2001:db8::1", "2001:db8::2")]);
  }
  // tunnel4 serves two of them: only with the last it can go.
  for (const names of new Set(cures.map((cure) => cure.names!))) await guest.exec(`/run/modprobe -r ${names}`);
  for (const { mode, overlay } of TUNNELS) {
    expect(await show(mode)).not.toContain("kernel-modules");
    expect(await errorsOf(overlay)).toBe(0);
  }
  await stopDaemon();
}, 240_000);
