/**
 *   hub (kernel vxlan, 10.42.0.2)                           guest, user-mode-linux (vtepd, ov0 10.42.0.1)
 *     to-guest 192.0.2.2 / 2001:db8::2 === eth0 192.0.2.1 / 2001:db8::1, a port of VRF "under"
 *
 * The daemon runs in the guest, whose kernel has VRFs. The main table has no route to the remote VTEP.
 */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
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
  await guest.run("/run/modprobe -a vrf tun");
  await guest.run("ip link add under type vrf table 10 && ip link set under up && ip link set eth0 master under");
  await guest.run("ip address add 192.0.2.1/24 dev eth0 && ip address add 2001:db8::1/64 dev eth0 nodad");
});

afterAll(async () => {
  await guest?.stop();
  await lab.close();
});

const startDaemon = async (link: string, remote: string): Promise<void> => {
  const lines = [
    "version: 1",
    "daemon: { control: { socket: /run/control.sock }, workers: 1 }",
    `tunnels: { ov0: { mode: vxlan, id: 42, remote: "${remote}", link: ${link}, addresses: [10.42.0.1/24] } }`,
  ];
  await guest.run(`printf '%s\\n' ${lines.map((line) => `'${line}'`).join(" ")} >/run/vtepd.yaml`);
  await guest.run(`setsid ${vtepd} >/run/log 2>&1 & echo $! >/run/pid`);
  await guest.run(
    `for n in $(seq ${START_S * 2}); do grep -q forwarding /run/log && exit; sleep 0.5; done; cat /run/log; exit 1`,
    START_S * 2000,
  );
};

afterEach(async () => {
  await guest.run("kill $(cat /run/pid); while [ -d /sys/class/net/ov0 ]; do sleep 0.3; done");
  hub.ip("link", "del", "vxlan0");
});

it.each([
  ["is the VRF", "under", "192.0.2.1", "192.0.2.2"],
  ["is a port of it", "eth0", "192.0.2.1", "192.0.2.2"],
  ["is the VRF, over IPv6", "under", "2001:db8::1", "2001:db8::2"],
])(
  "the underlay may be in a VRF, when `link` %s",
  async (_what, link, local, remote) => {
    const vxlan = `id 42 dstport 4789 local ${remote} remote ${local} dev to-guest`;
    hub.ip("link", "add", "vxlan0", "type", "vxlan", ...vxlan.split(" "));
    hub.address("vxlan0", "10.42.0.2/24");
    expect(await guest.run("ip route show table main; ip -6 route show table main")).not.toMatch(/192\.0\.2|2001:db8/);
    await startDaemon(link, remote);
    expect(await guest.run("ping -c 3 -l 3 -i 5 -W 5 10.42.0.2")).toContain(" 0% packet loss");
    expect(hub.run("ping", [...requests(3), "10.42.0.1"])).toContain(" 0% packet loss");
    expect(await guest.run(`${vtepctl} -d link show ov0`)).toContain(` local ${local} dev ${link} `);
  },
  90_000,
);
