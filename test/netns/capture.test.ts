/**
 *   left (ov0 10.42.0.1, ip0 10.43.0.1)              right (vxlan0 10.42.0.2, the kernel's)
 *     vtepd --- eth0 192.0.2.1 === 192.0.2.2 eth0
 *
 * What `vtepctl capture` writes, read by tcpdump and compared with what tcpdump sees on the other end of the wire.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../support/child.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { type PcapngFile, readPcapng } from "../support/pcapng.ts";
import { waitFor } from "../support/wait-for.ts";

const ETHERNET = 1;
const RAW = 101;

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;
let folder: string;
let files = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "vtepd-test-"));
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  for (const host of [left, right]) host.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  right.ip("link", "add", "vxlan0", "type", "vxlan", ..."id 42 dstport 4789 remote 192.0.2.1 dev eth0".split(" "));
  right.address("vxlan0", "10.42.0.2/24");
  right.ip("link", "add", "vxlan1", "type", "vxlan", ..."id 77 dstport 4789 remote 192.0.2.1 dev eth0".split(" "));
  right.address("vxlan1", "10.77.0.2/24");
  const ov0 = "{ mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24] }";
  for (const [host, address] of [
    [left, "2001:db8::1/64"],
    [right, "2001:db8::2/64"],
  ] as const) {
    host.sysctl("net.ipv6.conf.eth0.disable_ipv6", 0);
    host.address("eth0", address);
  }
  const ov6 = `{ mode: vxlan, id: 46, local: "2001:db8::1", remote: "2001:db8::2", addresses: [10.46.0.1/24] }`;
  const ip0 = "{ mode: ipip, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.43.0.1/24] }";
  daemon = await RunningDaemon.start(left, `{ ov0: ${ov0}, ip0: ${ip0}, ov6: ${ov6} }`, { workers: 2 });
  expect(left.exec("ping", ["-c", "1", "-W", "5", "10.42.0.2"]).status).toBe(0);
});

afterAll(async () => {
  await lab.close();
  rmSync(folder, { recursive: true, force: true });
});

const nextFile = (): string => join(folder, `${files++}.pcapng`);

/** A capture into a file, which has begun. */
const capture = async (file: string, ...words: readonly string[]): Promise<Child> => {
  const socket = ["-socket", daemon.socket];
  const child = left.spawn(process.execPath, ["dist/vtepctl.js", ...socket, "capture", ...words, "write", file]);
  await waitFor(() => readFileSync(file).length > 0 || !child.running, { what: "the first blocks" });
  return child;
};

const ended = async (child: Child): Promise<void> => {
  expect(await child.exited, child.stderr).toEqual({ code: 0, signal: null });
};

/** What tcpdump says of a file. */
const tcpdump = (file: string, ...options: readonly string[]): string =>
  left.run("tcpdump", ["-nnt", ...options, "-r", file]);

const read = (file: string): PcapngFile => readPcapng(readFileSync(file));

const ping = (address: string, ...options: readonly string[]): void =>
  void left.exec("ping", ["-c", "1", "-W", "1", ...options, address]);

describe("vtepctl capture", () => {
  it("has each frame and each packet of a ping, in order, in a file that tcpdump reads", async () => {
    const file = nextFile();
    const child = await capture(file, "dev", "ov0", "filter", "icmp", "count", "4");
    ping("10.42.0.2", "-s", "1000");
    await ended(child);
    const { interfaces, packets, dropped } = read(file);
    expect(interfaces).toMatchObject([
      { name: "ov0", linkType: ETHERNET },
      { name: "underlay", linkType: ETHERNET },
    ]);
    expect(interfaces[1]!.description).toContain("made again");
    expect(packets.map((packet) => [packet.interface, packet.direction, packet.comment])).toEqual([
      ["ov0", "out", ""],
      ["underlay", "out", ""],
      ["underlay", "in", ""],
      ["ov0", "in", ""],
    ]);
    expect(dropped).toBe(0);
    expect(Math.abs(packets[0]!.timeMs - Date.now())).toBeLessThan(60_000);
    expect(packets.map(({ timeMs }) => timeMs)).toEqual(packets.map(({ timeMs }) => timeMs).sort((a, b) => a - b));
    const lines = tcpdump(file);
    expect(lines).toContain("IP 10.42.0.1 > 10.42.0.2: ICMP echo request");
    expect(lines).toMatch(/^IP 192\.0\.2\.1\.\d+ > 192\.0\.2\.2\.4789: VXLAN, flags \[I\] \(0x08\), vni 42$/m);
    expect(lines.match(/ICMP echo request/g)).toHaveLength(2);
    expect(lines.match(/ICMP echo reply/g)).toHaveLength(2);
    expect(tcpdump(file, "-v")).not.toMatch(/bad|wrong|truncated/i);
  });

  it("has outer packets as the other end of the wire sees them, ports and all", async () => {
    const file = nextFile();
    const seen = right.spawn("tcpdump", ["--immediate-mode", "-nntlxi", "eth0", "udp port 4789 and greater 500"]);
    await seen.waitForOutput(/listening/);
    const child = await capture(file, "outer", "dev", "ov0", "filter", "icmp and greater 500", "count", "2");
    ping("10.42.0.2", "-s", "500");
    await ended(child);
    const packets = read(file).packets;
    expect(packets.map(({ linkType }) => linkType)).toEqual([RAW, RAW]);
    const hexOf = (text: string): string[] =>
      text
        .split(/^IP .*$/m)
        .map((part) => part.replace(/^.*0x[\da-f]{4}:|\s/gm, ""))
        .filter((hex) => hex.length > 1000);
    await waitFor(() => hexOf(seen.stdout).length === 2, { what: () => `two packets in ${seen.stdout}` });
    await seen.stop();
    // The kernel's own: identification, DF and TTL of what it sends, both checksums.
    const known = (hex: string): string => hex.slice(0, 8) + hex.slice(18, 20) + hex.slice(24, 52) + hex.slice(56);
    expect(packets.map(({ bytes }) => known(bytes.toString("hex")))).toEqual(hexOf(seen.stdout).map(known));
  });

  it("says why packets were dropped, and filters by that", async () => {
    const file = nextFile();
    const child = await capture(file, "filter", "drop", "count", "1");
    ping("10.42.0.2");
    right.exec("ping", ["-c", "1", "-W", "1", "10.77.0.1"]);
    await ended(child);
    const [packet] = read(file).packets;
    expect(packet).toMatchObject({ interface: "underlay", direction: "in", comment: "drop: vxlan_vni_not_found" });
    expect(tcpdump(file)).toContain("vni 77");
  });

  it("has packets of a tunnel without Ethernet as they are", async () => {
    const file = nextFile();
    const child = await capture(file, "dev", "ip0", "filter", "src host 10.43.0.1 and out", "count", "2");
    ping("10.43.0.2");
    await ended(child);
    const { packets } = read(file);
    expect(packets.map((packet) => [packet.interface, packet.linkType])).toEqual([
      ["ip0", ETHERNET],
      ["underlay", ETHERNET],
    ]);
    expect(packets[0]!.bytes.subarray(0, 14).toString("hex")).toBe(`${"00".repeat(12)}0800`);
    expect(packets[1]!.bytes.subarray(34)).toEqual(packets[0]!.bytes.subarray(14));
    expect(tcpdump(file)).toMatch(
      /^IP 192\.0\.2\.1 > 192\.0\.2\.2: IP 10\.43\.0\.1 > 10\.43\.0\.2: ICMP echo request/m,
    );
  });

  it("has such packets alone without Ethernet headers", async () => {
    const file = nextFile();
    const child = await capture(file, "inner", "dev", "ip0", "count", "1");
    ping("10.43.0.2");
    await ended(child);
    expect(read(file).packets).toMatchObject([{ interface: "ip0", linkType: RAW, direction: "out" }]);
    expect(tcpdump(file)).toContain("IP 10.43.0.1 > 10.43.0.2: ICMP echo request");
  });

  it("has whole packets over IPv6, with a checksum where there must be one", async () => {
    const file = nextFile();
    const child = await capture(file, "outer", "dev", "ov6", "filter", "arp and out", "count", "1");
    ping("10.46.0.2");
    await ended(child);
    expect(tcpdump(file)).toMatch(/^IP6 2001:db8::1\.\d+ > 2001:db8::2\.4789: VXLAN, flags \[I\] \(0x08\), vni 46/m);
    expect(tcpdump(file, "-vv")).toContain("[udp sum ok]");
  });

  it("ends with its tunnel", async () => {
    const settings = "type vxlan id 99 dstport 4799 local 192.0.2.1 remote 192.0.2.2".split(" ");
    expect(daemon.vtepctl("link", "add", "vx99", ...settings)).toMatchObject({ status: 0 });
    const child = await capture(nextFile(), "dev", "vx99");
    expect(daemon.vtepctl("link", "del", "vx99")).toMatchObject({ status: 0 });
    await ended(child);
  });

  it("has superframes whole, marked, and cut at the snap length", async () => {
    const file = nextFile();
    const server = right.spawn(process.execPath, ["-e", SINK]);
    await server.waitForOutput(/ready/);
    const child = await capture(file, "dev", "ov0", "filter", "greater 20000", "count", "2", "snaplen", "200");
    left.exec(process.execPath, ["-e", SOURCE]);
    await ended(child);
    const { packets } = read(file);
    for (const { bytes, length, comment } of packets) {
      expect(bytes.length).toBeLessThan(300);
      expect(length).toBeGreaterThan(20_000);
      expect(comment).toMatch(/^superframe: \d+ segments of \d+ bytes$/);
    }
    await server.stop();
  });

  it("has whole blocks and the losses in its file when it is interrupted, and says how many", async () => {
    const file = nextFile();
    const child = await capture(file, "dev", "ov0", "filter", "icmp");
    ping("10.42.0.2");
    await waitFor(() => read(file).packets.length === 4, { what: "the ping in a file that is being written" });
    ping("10.42.0.2"); // some of it may still be on its way
    child.signal("SIGINT");
    await ended(child);
    expect(read(file).packets).toHaveLength(8);
    expect(read(file).dropped).toBe(0);
    expect(child.stderr).toBe("8 packets captured\n0 packets dropped by vtepd\n");
  });

  it("comes out of a pipe packet by packet, and ends with the reader of the pipe", async () => {
    const words = "inner dev ov0 filter icmp -w -";
    const line = `${process.execPath} dist/vtepctl.js -socket ${daemon.socket} capture ${words} | tcpdump -c 4 -lnntr -`;
    const both = left.spawn("sh", ["-c", line]);
    await both.waitForOutput(/reading from file/, 10_000);
    ping("10.42.0.2");
    await both.waitForOutput(/ICMP echo reply/, 10_000);
    expect(both.running).toBe(true);
    ping("10.42.0.2");
    await waitFor(
      () => {
        ping("10.42.0.2"); // a writer hears of it when it writes
        return !both.running;
      },
      { what: "the end of both" },
    );
    expect(both.stderr).not.toMatch(/EPIPE|Error/);
  });

  it("goes through a pipe into tcpdump", async () => {
    const line = `${process.execPath} dist/vtepctl.js -socket ${daemon.socket} capture inner filter icmp count 2 | tcpdump -nntr -`;
    const both = left.spawn("sh", ["-c", line]);
    await waitFor(
      () => {
        ping("10.42.0.2");
        return both.stdout.includes("ICMP echo reply");
      },
      { what: () => `packets: ${both.stderr}` },
    );
    expect(both.stdout).toContain("ICMP echo request");
  });

  it("tells what is wrong with a filter or a device, and how many at once", async () => {
    expect(daemon.vtepctl("capture", "filter", "tcp port x")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('filter: expected a port, 0 to 65535 behind "tcp port", got "x"'),
    });
    expect(daemon.vtepctl("capture", "dev", "nope")).toMatchObject({ status: 2 });
    const running: Child[] = [];
    for (let n = 0; n < 8; n++) running.push(await capture(nextFile(), "filter", "vlan 9"));
    expect(daemon.vtepctl("capture")).toMatchObject({ stderr: expect.stringContaining("at most 8 captures at once") });
    for (const child of running) await child.stop();
    // Clients that have gone leave nothing behind.
    await waitFor(() => daemon.vtepctl("capture", "inner", "filter", "icmp", "count", "0").status === 1, {
      what: "refusal",
    });
    const file = nextFile();
    const child = await waitFor(
      async () => {
        const next = await capture(file, "filter", "icmp", "count", "1");
        return next.running ? next : undefined;
      },
      { what: "room for another capture" },
    );
    ping("10.42.0.2");
    await ended(child!);
  });
});

const SINK = `
  const server = require("node:net").createServer((socket) => socket.resume());
  server.listen(9000, () => console.log("ready"));
`;
const SOURCE = `
  const socket = require("node:net").connect(9000, "10.42.0.2", () => socket.end(Buffer.alloc(4 << 20)));
  socket.on("close", () => process.exit(0));
  socket.resume();
`;
