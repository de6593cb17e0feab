/**
 * The pattern of flannel's vxlan backend: no learning and no flooding; each host has a subnet, and for each other host a
 * route, a permanent neighbour and a static FDB entry.
 *
 *   pod n 10.244.n.2 --- cni0 10.244.n.1, host n, flannel.1 10.244.n.0/32 --- eth0 192.0.2.n / 2001:db8::n === switch
 *
 * Hosts 1 and 2 run vtepd, host 3 the kernel's vxlan. The pods' MTU is 1500: routers tell them of the tunnel's.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { transfer } from "../support/transfer.ts";
import { overlayMac, underlayAddress } from "./peer.ts";

const NODES = [1, 2, 3] as const;
const KERNEL = 3;
const DEV = "flannel.1";
const PORT = 8472;
const TRANSFER_BYTES = 3_000_000;

/** What the overlay of each family calls its subnets. `base` is the address of the node's own device too. */
const SUBNETS = {
  IPv4: {
    base: (n: number) => `10.244.${n}.0`,
    in: (n: number, last: number) => `10.244.${n}.${last}`,
    bits: 24,
    all: 32,
  },
  IPv6: {
    base: (n: number) => `fd00:244:${n}::`,
    in: (n: number, last: number) => `fd00:244:${n}::${last}`,
    bits: 64,
    all: 128,
  },
} as const;

describe.each(["IPv4", "IPv6"] as const)("the flannel pattern, %s inside and outside", (family) => {
  const subnet = SUBNETS[family];
  const flag = family === "IPv4" ? "-4" : "-6";
  let lab: Lab;
  let nodes: Host[];
  let pods: Host[];
  const daemons = new Map<number, RunningDaemon>();

  const node = (n: number): Host => nodes[n - 1]!;
  const pod = (n: number): Host => pods[n - 1]!;
  const podAddress = (n: number): string => subnet.in(n, 2);

  /** The device. @param fdb whom it knows from the start */
  const startDevice = async (n: number, fdb: readonly number[] = []): Promise<void> => {
    const local = underlayAddress(family, n);
    if (n === KERNEL) {
      const options = `id 1 local ${local} dev eth0 dstport ${PORT} nolearning`.split(" ");
      node(n).ip("link", "add", DEV, "address", overlayMac(n), "type", "vxlan", ...options);
      node(n).address(DEV, `${subnet.base(n)}/${subnet.all}`);
      for (const other of fdb) addToFdb(n, other);
      return;
    }
    const entries = fdb.map((other) => `{ mac: "${overlayMac(other)}", dst: "${underlayAddress(family, other)}" }`);
    const keys = `id: 1, local: "${local}", link: eth0, port: ${PORT}, mac-learning: false, fdb: [${entries.join(", ")}]`;
    const device = `macaddress: "${overlayMac(n)}", addresses: ["${subnet.base(n)}/${subnet.all}"]`;
    daemons.set(n, await RunningDaemon.start(node(n), `{ ${DEV}: { mode: vxlan, ${keys}, ${device} } }`));
  };
  const addRoute = (at: number, to: number): void => {
    node(at).ip(
      flag,
      "route",
      "add",
      `${subnet.base(to)}/${subnet.bits}`,
      "via",
      subnet.base(to),
      "dev",
      DEV,
      "onlink",
    );
  };
  const addNeighbour = (at: number, to: number): void => {
    const words = [subnet.base(to), "lladdr", overlayMac(to), "dev", DEV, "nud", "permanent"];
    node(at).ip("neigh", "replace", ...words);
  };
  const entry = (to: number): string[] => [overlayMac(to), "dev", DEV, "dst", underlayAddress(family, to)];
  const changeFdb = (verb: "add" | "del", at: number, to: number): void => {
    const daemon = daemons.get(at);
    if (daemon === undefined) node(at).run("bridge", ["fdb", verb, ...entry(to)]);
    else expect(daemon.vtepctl("fdb", verb, ...entry(to)).stderr).toBe("");
  };
  const addToFdb = (at: number, to: number): void => changeFdb("add", at, to);
  const meet = (at: number, to: number): void => {
    addRoute(at, to);
    addNeighbour(at, to);
    addToFdb(at, to);
  };

  /** Through two routers: the nodes. */
  const reaches = (from: number, to: number): void => {
    const said = pod(from).run("ping", ["-c", "1", "-W", "5", podAddress(to)]);
    expect(said, `${from} to ${to}`).toContain("ttl=62 ");
  };
  const isLost = (from: number, to: number): void => {
    const said = pod(from).exec("ping", ["-c", "2", "-i", "0.05", "-W", "0.2", podAddress(to)]).stdout;
    expect(said, `${from} to ${to}`).toContain("100% packet loss");
  };
  const isMesh = (...present: readonly number[]): void => {
    for (const from of present) for (const to of present) if (from !== to) reaches(from, to);
  };
  const learnedNothing = (n: number): void => {
    const daemon = daemons.get(n)!;
    expect(daemon.learned(DEV)).toEqual([]);
    expect(daemon.stats().links[0]?.fdb.learns).toBe(0);
    expect(daemon.stats().links[0]?.flooded).toBe(0);
  };

  beforeEach(() => {
    lab = Lab.create();
    nodes = NODES.map((n) => lab.host(`node${n}`));
    pods = NODES.map((n) => lab.host(`pod${n}`));
    lan(
      lab,
      NODES.map((n) => ({ host: node(n), addresses: [`192.0.2.${n}/24`, `2001:db8::${n}/64`] })),
    );
    for (const n of NODES) {
      node(n).sysctl("net.ipv4.ip_forward", 1);
      node(n).sysctl("net.ipv6.conf.all.forwarding", 1);
      node(n).ip("link", "add", "cni0", "type", "bridge");
      node(n).address("cni0", `${subnet.in(n, 1)}/${subnet.bits}`);
      lab.wire(pod(n), "eth0", node(n), "to-pod", { mode: "virtual" });
      node(n).ip("link", "set", "to-pod", "master", "cni0");
      pod(n).address("eth0", `${podAddress(n)}/${subnet.bits}`);
      pod(n).ip(flag, "route", "add", "default", "via", subnet.in(n, 1));
    }
  });
  afterEach(async () => {
    daemons.clear();
    await lab.close();
  });

  it("needs the route, the neighbour and the FDB entry of each host, and tells what is missing", async () => {
    await startDevice(1);
    await startDevice(2);
    const drops = (): number => daemons.get(1)!.drops("encap")["no_tx_target"] ?? 0;
    addRoute(1, 2);
    addRoute(2, 1);
    let before = drops();
    isLost(1, 2);
    expect(drops()).toBeGreaterThan(before); // ARP or neighbour discovery, which has nowhere to go
    addNeighbour(1, 2);
    addNeighbour(2, 1);
    before = drops();
    isLost(1, 2);
    expect(drops()).toBeGreaterThanOrEqual(before + 2); // the pings
    addToFdb(2, 1);
    before = drops();
    isLost(2, 1);
    // They come from nobody that host 1 knows.
    expect(daemons.get(1)!.drops("decap")).toEqual({ unknown_vtep: 2 });
    addToFdb(1, 2);
    isMesh(1, 2);
    expect(daemons.get(1)!.drops("decap")).toEqual({ unknown_vtep: 2 });
    learnedNothing(1);
    learnedNothing(2);
  });

  it("has hosts come and go, and carries TCP from pod to pod", async () => {
    await startDevice(1);
    await startDevice(KERNEL);
    meet(1, KERNEL);
    meet(KERNEL, 1);
    isMesh(1, KERNEL);
    // A host whose daemon has all of it in its configuration.
    await startDevice(2, [1, KERNEL]);
    for (const other of [1, KERNEL]) {
      addRoute(2, other);
      addNeighbour(2, other);
      meet(other, 2);
    }
    isMesh(...NODES);
    for (const [from, to] of [
      [1, 2],
      [KERNEL, 1],
      [2, KERNEL],
    ] as const) {
      const { sent, received } = await transfer(pod(from), pod(to), podAddress(to), TRANSFER_BYTES);
      expect(received).toBe(sent);
    }
    expect(node(1).ipJson("link", "show", DEV)[0].mtu).toBe(family === "IPv4" ? 1450 : 1430);

    const before = daemons.get(1)!.drops("encap")["no_tx_target"] ?? 0;
    await daemons.get(2)!.stop();
    daemons.delete(2);
    for (const other of [1, KERNEL]) changeFdb("del", other, 2);
    isLost(1, 2);
    expect(daemons.get(1)!.drops("encap")["no_tx_target"]).toBeGreaterThanOrEqual(before + 2);
    isMesh(1, KERNEL);
    // It comes back under its old name: the others' routes and neighbours are still there.
    await startDevice(2, [1, KERNEL]);
    for (const other of [1, KERNEL]) {
      addRoute(2, other);
      addNeighbour(2, other);
      addToFdb(other, 2);
    }
    isMesh(...NODES);
    learnedNothing(1);
    learnedNothing(2);
  });
});
