/**
 * Tunnels without one remote VTEP, with peers that others wrote: a user-mode-linux 6.1 guest, and an emulated Linux 6.12, which
 * has 6rd.
 *
 *   left (vtepd, ov0) 192.0.2.1 === 192.0.2.2 guest (ov0)
 *                               === 192.0.2.3 emulated (ov0)
 */
import ipaddr from "ipaddr.js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { isatapAddress } from "../../src/daemon/embedding.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { QemuPeer } from "../support/qemu-peer.ts";
import { requests } from "../support/requests.ts";
import { UmlPeer } from "../support/uml-peer.ts";

let lab: Lab;
let left: Host;
let guest: UmlPeer;
let emulated: QemuPeer;
let daemon: RunningDaemon | undefined;

beforeAll(async () => {
  lab = Lab.create();
  left = lab.host("left");
  const hub = lan(lab, [{ host: left, addresses: ["192.0.2.1/24"] }]);
  for (const tap of ["to-guest", "to-emulated"]) {
    hub.ip("tuntap", "add", "dev", tap, "mode", "tap");
    hub.ip("link", "set", tap, "master", "br0", "up");
  }
  [guest, emulated] = await Promise.all([UmlPeer.start(hub, "to-guest"), QemuPeer.start(hub, "to-emulated")]);
  await guest.run("ip address add 192.0.2.2/24 dev eth0");
  await emulated.run("ip address add 192.0.2.3/24 dev eth0");
});

afterEach(async () => {
  await daemon?.stop();
  daemon = undefined;
  await guest.run("ip link delete ov0 2>/dev/null; true");
});

afterAll(async () => {
  await Promise.all([guest?.stop(), emulated?.stop()]);
  await lab.close();
});

const start = async (tunnel: string): Promise<RunningDaemon> => {
  daemon = await RunningDaemon.start(left, `{ ov0: ${tunnel} }`);
  return daemon;
};

/** Both ways. */
const pings = async (theirs: string, ours: string): Promise<void> => {
  expect(left.run("ping", [...requests(3), theirs])).toContain(" 0% packet loss");
  expect(await guest.run(`ping -c 3 -l 3 -i 5 -W 5 ${ours}`)).toContain(" 0% packet loss");
};

/** What is unique for the kernel, and what is not. */
const LOCALS = [
  [
    "192.0.2.9",
    "192.0.3.2",
    "8.8.8.8",
    "10.1.2.3",
    "11.1.2.3",
    "100.64.0.1",
    "169.254.3.4",
    "172.16.0.1",
    "172.32.0.1",
  ],
  [
    "192.88.99.1",
    "192.168.7.7",
    "198.18.0.1",
    "198.19.255.1",
    "198.20.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "127.0.0.9",
  ],
].flat();

it("6rd with Linux 6.12: sites of a provider's prefix, whose IPv4 addresses have bits in common", async () => {
  const address = (n: number): string => `fd00:6:2:${n}00::1`;
  await emulated.run(
    "ip link add ov0 type sit local 192.0.2.3 ttl 64 6rd-prefix fd00:6::/32 6rd-relay_prefix 192.0.0.0/8 && " +
      `ip link set ov0 up && ip address add ${address(3)}/32 dev ov0 nodad`,
  );
  const running = await start(
    `{ mode: 6rd, local: 192.0.2.1, prefix: "fd00:6::/32", relay-prefix: 192.0.0.0/8, addresses: ["${address(1)}/32"] }`,
  );
  const theirPing = `ping -c 3 -i 0.2 -W 5 ${address(1)}`;
  expect(left.run("ping", [...requests(3), address(3)])).toContain(" 0% packet loss");
  expect(await emulated.run(theirPing)).toContain(" 0% packet loss");
  expect(running.drops("socket")).toEqual({});
  // The kernel's router solicitations come from no address that has its own inside.
  expect(Object.keys(running.drops("decap")).filter((reason) => reason !== "ip_invalid_source")).toEqual([]);
  // With other bits in common the same address is behind another VTEP.
  await emulated.run("ip tunnel 6rd dev ov0 6rd-prefix fd00:6::/32 6rd-relay_prefix 10.0.0.0/8");
  expect(await emulated.run(`${theirPing}; true`)).toContain("100% packet loss");
});

describe("vtepd and user-mode-linux 6.1", () => {
  it("gre to a multicast group, whose address is the key", async () => {
    await guest.run(
      "ip link add ov0 type gre remote 239.1.1.1 local 192.0.2.2 dev eth0 && ip link set ov0 up && " +
        "ip address add 10.42.0.2/24 dev ov0",
    );
    const running = await start(
      "{ mode: gre, group: 239.1.1.1, link: eth0, local: 192.0.2.1, addresses: [10.42.0.1/24] }",
    );
    expect(left.ip("-o", "link", "show", "ov0")).toContain(" mtu 1472 ");
    await pings("10.42.0.2", "10.42.0.1");
    expect(running.drops("socket")).toEqual({});
  });

  it.each([
    {
      mode: "6to4",
      peer: "ip link add ov0 type sit local 192.0.2.2 ttl 64",
      address: (n: number) => `2002:c000:20${n}::1/16`,
    },
    {
      mode: "isatap",
      peer: "ip tunnel add ov0 mode isatap local 192.0.2.2 ttl 64",
      address: (n: number) => `fd00:15::5efe:c000:20${n}/64`,
    },
  ])("$mode: sit without a remote", async ({ mode, peer, address }) => {
    await guest.run(`${peer} && ip link set ov0 up && ip address add ${address(2)} dev ov0 nodad`);
    const running = await start(`{ mode: ${mode}, local: 192.0.2.1, addresses: ["${address(1)}"] }`);
    expect(left.ip("-o", "link", "show", "ov0")).toContain(" mtu 1480 ");
    const [theirs = "", ours = ""] = [address(2), address(1)].map((text) => text.split("/")[0]);
    await pings(theirs, ours);
    expect(running.drops("socket")).toEqual({});
    // The kernel's router solicitations come from no address that has its own inside.
    expect(Object.keys(running.drops("decap")).filter((reason) => reason !== "ip_invalid_source")).toEqual([]);
  });

  it("isatap: link-local addresses are those that the kernel makes, and the only ones", async () => {
    const make = (local: string, n: number): string =>
      `ip tunnel add is${n} mode isatap local ${local} && ip link set is${n} up && ` +
      `ip -6 -o address show dev is${n} scope link | sed 's/.*inet6 //; s/ .*//'`;
    const theirs = (await guest.run(LOCALS.map(make).join(" && "))).trim().split(/\s+/);
    const canonical = (address: string | undefined): string => ipaddr.parse(address!.split("/")[0]!).toString();
    expect(theirs.map(canonical)).toEqual(
      LOCALS.map((local) => canonical(isatapAddress({ mode: "isatap", locals: [local] }))),
    );
    await guest.run("ip tunnel add ov0 mode isatap local 192.0.2.2 ttl 64 && ip link set ov0 up");
    await start("{ mode: isatap, local: 192.0.2.1 }");
    const addresses = left.ipJson("-6", "address", "show", "dev", "ov0")[0].addr_info as Record<string, unknown>[];
    expect(addresses.map(({ local, prefixlen }) => [canonical(local as string), prefixlen])).toEqual([
      [canonical("fe80::5efe:192.0.2.1"), 64],
    ]);
    await pings("fe80::5efe:192.0.2.2%ov0", "fe80::5efe:192.0.2.1%ov0");
  });
});
