/**
 *   left: vtepd, tap "ov0" (VNI 42) and "ov1" (VNI 43) --- 192.0.2.1 === 192.0.2.2, .3 (raw VTEPs), .9 (a stranger) :right
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Child } from "../support/child.ts";
import { RunningDaemon } from "../support/daemon.ts";
import {
  arpFrame,
  ethernetFrame,
  MAC_A,
  MAC_B,
  MAC_MULTICAST,
  udpFrame,
  vxlanDatagram,
} from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { RawVtep } from "../support/raw-vtep.ts";
import { sleep, waitFor } from "../support/wait-for.ts";

const DEVICE_MAC = "02:00:00:00:ff:01";
const LOCAL = "192.0.2.1";

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;
let second: RawVtep;
let third: RawVtep;
let stranger: RawVtep;

const start = async (options: string, more = ""): Promise<void> => {
  daemon = await RunningDaemon.start(
    left,
    `{ ov0: { mode: vxlan, id: 42, local: ${LOCAL}, flood: [192.0.2.2, 192.0.2.3], macaddress: "${DEVICE_MAC}", addresses: [10.42.0.1/24], ${options} }${more} }`,
  );
};

beforeEach(async () => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: [`${LOCAL}/24`, "192.0.2.2/24"] });
  right.address("eth0", "192.0.2.3/24");
  right.address("eth0", "192.0.2.9/24");
  left.sysctl("net.ipv6.conf.default.disable_ipv6", 1); // no router solicitations between the frames of the test
  [second, third, stranger] = await Promise.all(
    ["192.0.2.2", "192.0.2.3", "192.0.2.9"].map((address) => RawVtep.start(right, { address })) as [
      Promise<RawVtep>,
      Promise<RawVtep>,
      Promise<RawVtep>,
    ],
  );
});
afterEach(() => lab.close());

/** A frame from a station behind a raw VTEP to the device. */
const fromStation = (src: string, dst = DEVICE_MAC): Uint8Array =>
  udpFrame({ src, dst, srcIp: "10.42.0.5", dstIp: "10.42.0.1", srcPort: 1000, dstPort: 2000, payload: "hello" });

const learnedIs = (expected: string[]): Promise<boolean> =>
  waitFor(() => JSON.stringify(daemon.learned("ov0")) === JSON.stringify(expected), { what: `FDB ${expected}` });

/** Sends a frame out of ov0: a UDP datagram to a neighbour with this MAC. */
const sendTo = (mac: string, ip = "10.42.0.77"): void => {
  left.ip("neigh", "replace", ip, "lladdr", mac, "dev", "ov0");
  left.run("bash", ["-c", `echo hello > /dev/udp/${ip}/9999`]);
};
const dstOf = ({ bytes }: { bytes: Uint8Array }): string =>
  [...bytes.slice(8, 14)].map((b) => b.toString(16).padStart(2, "0")).join(":");

describe("forwarding", () => {
  it("floods unknown MACs to all of the list, then sends to the VTEP where the MAC was learned, only there", async () => {
    await start("");
    sendTo(MAC_A);
    const isToA = (datagram: { bytes: Uint8Array }): boolean => dstOf(datagram) === MAC_A;
    await Promise.all([second.receive(isToA), third.receive(isToA)]);
    third.send(LOCAL, vxlanDatagram(42, fromStation(MAC_A)));
    await learnedIs([`${MAC_A} 192.0.2.3`]);
    second.clear();
    third.clear();
    sendTo(MAC_A);
    const datagram = await third.receive(isToA);
    // The header as RFC 7348 wants it, from one of our own ports to the VXLAN port.
    expect([...datagram.bytes.slice(0, 8)]).toEqual([8, 0, 0, 0, 0, 0, 42, 0]);
    expect(datagram.from).toBe(LOCAL);
    expect(datagram.port).not.toBe(4789);
    await sleep(100);
    expect(second.received().filter(isToA)).toEqual([]);
  });

  it("delivers what a remote VTEP sends, byte for byte", async () => {
    await start("");
    const receiver = left.spawn("tcpdump", ["-i", "ov0", "-xx", "-nn", "-U", "-l", "-c", "1", "udp", "port", "2000"]);
    await receiver.waitForOutput(/listening on/);
    const frame = fromStation(MAC_A);
    second.send(LOCAL, vxlanDatagram(42, frame));
    await receiver.wait();
    const hex = [...receiver.stdout.matchAll(/0x[0-9a-f]{4}:\s+([0-9a-f ]+)/g)]
      .map(([, words]) => words!.replaceAll(" ", ""))
      .join("");
    expect(hex).toBe(Buffer.from(frame).toString("hex"));
  });

  it("moves a MAC that appears behind another VTEP, and counts the move", async () => {
    await start("");
    second.send(LOCAL, vxlanDatagram(42, fromStation(MAC_A)));
    await learnedIs([`${MAC_A} 192.0.2.2`]);
    third.send(LOCAL, vxlanDatagram(42, fromStation(MAC_A)));
    await learnedIs([`${MAC_A} 192.0.2.3`]);
    expect(daemon.stats().links[0]!.fdb).toMatchObject({ learns: 1, moves: 1 });
  });

  it("ages learned entries at the second, and leaves static ones", async () => {
    await start(`ageing: 2, fdb: [{ mac: "${MAC_B}", dst: 192.0.2.3 }]`);
    const since = performance.now();
    second.send(LOCAL, vxlanDatagram(42, fromStation(MAC_A)));
    await waitFor(() => daemon.stats().links[0]!.fdb.learns === 1, { what: "the station" });
    await learnedIs([]);
    const seconds = (performance.now() - since) / 1000;
    expect(seconds).toBeGreaterThan(0.9);
    expect(seconds).toBeLessThan(8);
    expect(daemon.stats().links[0]!.fdb.aged).toBe(1);
    expect(daemon.fdb("ov0").find(({ mac }) => mac === MAC_B)?.dst).toBe("192.0.2.3");
  });

  it("keeps an entry that is in use from ageing", async () => {
    await start("ageing: 3");
    for (let n = 0; n < 9; n++) {
      second.send(LOCAL, vxlanDatagram(42, fromStation(MAC_A)));
      await sleep(500);
    }
    expect(daemon.learned("ov0")).toEqual([`${MAC_A} 192.0.2.2`]);
    expect(daemon.stats().links[0]!.fdb.learns).toBe(1);
  });

  it("learns nothing with mac-learning off, and sends to static entries only, when there is no flood list", async () => {
    await start("mac-learning: false, fdb: [{ mac: 02:00:00:00:00:0b, dst: 192.0.2.3, port: 8472, vni: 7 }]");
    daemon.vtepctl("fdb", "del", "00:00:00:00:00:00", "dev", "ov0");
    const special = await RawVtep.start(right, { address: "192.0.2.3", port: 8472 });
    second.send(LOCAL, vxlanDatagram(42, fromStation(MAC_A)));
    second.clear();
    sendTo(MAC_A);
    sendTo(MAC_B);
    const datagram = await special.receive();
    expect([dstOf(datagram), datagram.bytes[6]]).toEqual([MAC_B, 7]);
    expect(daemon.learned("ov0")).toEqual([]);
    await waitFor(() => (daemon.drops("encap")["no_tx_target"] ?? 0) >= 1, { what: "no_tx_target" });
    expect(second.received().filter((received) => dstOf(received) === MAC_A)).toEqual([]);
  });

  it("keeps two VNIs on one socket apart, also with equal MACs", async () => {
    await start("", `, ov1: { mode: vxlan, id: 43, local: ${LOCAL}, remote: 192.0.2.2 }`);
    const listeners = ["ov0", "ov1"].map((dev) =>
      left.spawn("tcpdump", ["-i", dev, "-nn", "-l", "-U", "-Q", "in", "udp", "port", "2000"]),
    );
    await Promise.all(listeners.map((listener) => listener.waitForOutput(/listening on/)));
    second.send(LOCAL, vxlanDatagram(43, fromStation(MAC_A)));
    third.send(LOCAL, vxlanDatagram(42, fromStation(MAC_A)));
    await Promise.all(listeners.map((listener: Child) => listener.waitForOutput(/2000/)));
    await sleep(100);
    for (const listener of listeners) expect(listener.stdout.match(/10\.42\.0\.5/g)).toHaveLength(1);
    expect([daemon.learned("ov0"), daemon.learned("ov1")]).toEqual([[`${MAC_A} 192.0.2.3`], [`${MAC_A} 192.0.2.2`]]);
  });

  it("never sends to a remote VTEP what came from one (split horizon)", async () => {
    await start("");
    second.send(LOCAL, vxlanDatagram(42, fromStation(MAC_B)));
    await learnedIs([`${MAC_B} 192.0.2.2`]);
    for (const vtep of [second, third]) vtep.clear();
    third.send(
      LOCAL,
      vxlanDatagram(
        42,
        arpFrame({ operation: "request", senderMac: MAC_A, senderIp: "10.42.0.6", targetIp: "10.42.0.7" }),
      ),
    );
    third.send(LOCAL, vxlanDatagram(42, fromStation(MAC_A, MAC_MULTICAST)));
    third.send(LOCAL, vxlanDatagram(42, fromStation(MAC_A, MAC_B)));
    await waitFor(() => daemon.stats().links[0]!.rx.packets === 4, { what: "four frames" });
    await sleep(200);
    // What left itself answers (an ICMP error, the ARP for it) has the device's MAC as its source.
    const isRelayed = ({ bytes }: { bytes: Uint8Array }): boolean =>
      Buffer.from(bytes.slice(14, 20)).toString("hex") === MAC_A.replaceAll(":", "");
    expect([...second.received(), ...third.received()].filter(isRelayed)).toEqual([]);
  });

  it("spreads flows over several source ports and keeps one flow on one", async () => {
    await start("");
    left.ip("neigh", "replace", "10.42.0.77", "lladdr", MAC_A, "dev", "ov0");
    const script = `
      const { createSocket } = require("node:dgram");
      (async () => {
        for (let port = 2000; port < 2040; port++) {
          const socket = createSocket("udp4");
          await new Promise((done) => socket.bind(port, done));
          for (let n = 0; n < 3; n++) await new Promise((done) => socket.send("x", 9, "10.42.0.77", done));
          socket.close();
        }
      })();`;
    left.run(process.execPath, ["-e", script]);
    const flows = new Map<number, Set<number>>();
    await waitFor(() => second.received().length >= 120, { what: "120 datagrams" });
    for (const { bytes, port } of second.received()) {
      if (dstOf({ bytes }) !== MAC_A) continue;
      const inner = (bytes[8 + 34]! << 8) | bytes[8 + 35]!;
      flows.set(inner, (flows.get(inner) ?? new Set()).add(port));
    }
    expect(flows.size).toBe(40);
    expect([...flows.values()].every((ports) => ports.size === 1)).toBe(true);
    expect(new Set([...flows.values()].flatMap((ports) => [...ports])).size).toBeGreaterThan(8);
  });

  it("tells control what it forwards: fdb add, append, replace, del work at once and change nothing on failure", async () => {
    await start("");
    const run = (...args: string[]): number => daemon.vtepctl("fdb", ...args).status;
    expect(run("add", MAC_A, "dev", "ov0", "dst", "192.0.2.3")).toBe(0);
    sendTo(MAC_A);
    await third.receive((datagram) => dstOf(datagram) === MAC_A);
    expect(second.received().filter((datagram) => dstOf(datagram) === MAC_A)).toEqual([]);
    expect(run("add", MAC_A, "dev", "ov0", "dst", "192.0.2.2")).toBe(2);
    expect(run("add", MAC_B, "dev", "ov0", "dst", "2001:db8::1")).not.toBe(0);
    expect(run("del", MAC_B, "dev", "ov0")).toBe(2);
    expect(run("append", "00:00:00:00:00:00", "dev", "ov0", "dst", "192.0.2.9")).toBe(0);
    const permanent = () =>
      daemon
        .fdb("ov0")
        .filter(({ state }) => state === "permanent")
        .map(({ mac, dst }) => `${mac} ${dst}`)
        .sort();
    expect(permanent()).toEqual([
      "00:00:00:00:00:00 192.0.2.2",
      "00:00:00:00:00:00 192.0.2.3",
      "00:00:00:00:00:00 192.0.2.9",
      `${MAC_A} 192.0.2.3`,
    ]);
    sendTo(MAC_B);
    await stranger.receive((datagram) => dstOf(datagram) === MAC_B);
    expect(run("replace", MAC_A, "dev", "ov0", "dst", "192.0.2.2")).toBe(0);
    expect(run("del", MAC_A, "dev", "ov0", "dst", "192.0.2.3")).toBe(2);
    expect(run("del", MAC_A, "dev", "ov0", "dst", "192.0.2.2")).toBe(0);
    expect(run("del", "00:00:00:00:00:00", "dev", "ov0", "dst", "192.0.2.9")).toBe(0);
    expect(permanent()).toEqual(["00:00:00:00:00:00 192.0.2.2", "00:00:00:00:00:00 192.0.2.3"]);
  });

  it("lets a static entry win over a learned one", async () => {
    await start("");
    second.send(LOCAL, vxlanDatagram(42, fromStation(MAC_A)));
    await learnedIs([`${MAC_A} 192.0.2.2`]);
    expect(daemon.vtepctl("fdb", "add", MAC_A, "dev", "ov0", "dst", "192.0.2.3").status).toBe(0);
    second.send(LOCAL, vxlanDatagram(42, fromStation(MAC_A)));
    await daemon.waitForDrops("decap", { vxlan_entry_exists: 1 });
    expect(daemon.fdb("ov0").find(({ mac }) => mac === MAC_A)).toMatchObject({ dst: "192.0.2.3", state: "permanent" });
  });
});

describe("malformed datagrams are counted by reason and go nowhere:", () => {
  const good = (): Uint8Array => vxlanDatagram(42, fromStation(MAC_A));
  it.each<[string, "decap" | "socket", string, () => [RawVtep, Uint8Array]]>([
    ["an empty datagram", "socket", "hdr_trunc", () => [second, new Uint8Array(0)]],
    ["shorter than the header", "socket", "hdr_trunc", () => [second, good().slice(0, 7)]],
    ["without the I flag", "socket", "vxlan_invalid_hdr", () => [second, good().fill(0, 0, 1)]],
    ["an unknown VNI", "socket", "vxlan_vni_not_found", () => [second, vxlanDatagram(44, fromStation(MAC_A))]],
    ["an unknown remote VTEP", "decap", "unknown_vtep", () => [stranger, good()]],
    ["no inner frame", "decap", "pkt_too_small", () => [second, good().slice(0, 8)]],
    ["a runt inner frame", "decap", "pkt_too_small", () => [second, good().slice(0, 8 + 13)]],
    [
      "a group source MAC",
      "decap",
      "mac_invalid_source",
      () => [second, vxlanDatagram(42, fromStation("03:00:00:00:00:01"))],
    ],
    [
      "a zero source MAC",
      "decap",
      "mac_invalid_source",
      () => [second, vxlanDatagram(42, fromStation("00:00:00:00:00:00"))],
    ],
    ["our own source MAC", "decap", "local_mac", () => [second, vxlanDatagram(42, fromStation(DEVICE_MAC))]],
  ])("%s", async (_what, where, reason, make) => {
    await start("");
    const [vtep, datagram] = make();
    for (let n = 0; n < 3; n++) vtep.send(LOCAL, datagram);
    await daemon.waitForDrops(where, { [reason]: 3 });
    expect(daemon.learned("ov0")).toEqual([]);
    expect(daemon.stats().links[0]!.rx.packets).toBe(0);
    // And it still works.
    second.send(LOCAL, good());
    await learnedIs([`${MAC_A} 192.0.2.2`]);
  });

  it("any bytes whatever, never a crash", async () => {
    await start("");
    let state = 1;
    const random = (): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 16;
    };
    for (let n = 0; n < 2000; n++) {
      const bytes = Uint8Array.from({ length: random() % 120 }, () => random() & 255);
      if (n % 2 === 0 && bytes.length >= 22)
        bytes.set(vxlanDatagram(42, ethernetFrame({ src: MAC_A, dst: MAC_B, etherType: 0x0800 }, "")).slice(0, 22));
      second.send(LOCAL, bytes);
    }
    await waitFor(() => Object.values(daemon.drops("socket")).reduce((sum, count) => sum + count, 0) > 500, {
      what: "drops",
    });
    expect(daemon.child.running).toBe(true);
    second.send(LOCAL, good());
    await waitFor(() => daemon.learned("ov0").includes(`${MAC_A} 192.0.2.2`), { what: "learning after the noise" });
  });
});
