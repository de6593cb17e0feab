/**
 * What a capture has of tunnels of each mode: a ping through all of them, in one file, read by tcpdump and compared with what
 * came out of the wire.
 *
 *   left (one device a mode) -- vtepd --- eth0 192.0.2.1, 2001:db8::1 === ...2 eth0 --- vtepd (the same) right
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../support/child.ts";
import { RunningDaemon } from "../support/daemon.ts";
import { KeyFolder, type KeyPair, keyHex, keyLines } from "../support/esp-keys.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { PacketCapture } from "../support/packet-capture.ts";
import { type PcapngPacket, readPcapng } from "../support/pcapng.ts";
import { waitFor } from "../support/wait-for.ts";

/** By the end that opens them. */
const key = (spi: number): KeyPair => ({ spi, hex: keyHex(spi & 0xff) });

/** IP protocols. */
const [IPIP, UDP, SIT, GRE, ESP] = [4, 17, 41, 47, 50] as const;

interface Mode {
  readonly dev: string;
  /** YAML. */
  readonly keys: string;
  /** How tcpdump shows a packet on its way. */
  readonly outer: RegExp;
  readonly isSealed?: boolean;
}

const ENDS = String.raw`192\.0\.2\.1 > 192\.0\.2\.2`;
const udp = (port: number, what: string): RegExp =>
  new RegExp(`^IP 192\\.0\\.2\\.1\\.\\d+ > 192\\.0\\.2\\.2\\.${port}: ${what}`);
const raw = (what: string): RegExp => new RegExp(`^IP ${ENDS}: ${what}`);

const MODES: readonly Mode[] = [
  { dev: "gnv", keys: "mode: geneve, id: 7", outer: udp(6081, "Geneve, Flags \\[none\\], vni 0x7") },
  { dev: "tap", keys: "mode: gretap, key: 5", outer: raw("GREv0, key=0x5, length \\d+: IP .*echo request") },
  { dev: "gre", keys: "mode: gre, key: 6", outer: raw("GREv0, key=0x6, length \\d+: IP .*echo request") },
  { dev: "ipip", keys: "mode: ipip", outer: raw("IP 10.* ICMP echo request") },
  { dev: "sit", keys: "mode: sit", outer: raw("IP6 fd00.* ICMP6, echo request") },
  { dev: "gue", keys: "mode: gre, encap: { type: gue }", outer: udp(6080, "UDP, length 92") },
  { dev: "fou", keys: "mode: ipip, encap: { type: fou }", outer: udp(5555, "UDP, length 84") },
  { dev: "gud", keys: "mode: gretap, encap: { type: gre-in-udp }", outer: udp(4754, "UDP, length 102") },
  {
    dev: "vti",
    keys: "mode: vti, key-file: KEYS",
    outer: raw("ESP\\(spi=0x00001082,seq=0x0\\), length 120"),
    isSealed: true,
  },
  {
    dev: "natt",
    keys: "mode: vti, encap: { type: espinudp }, key-file: KEYS",
    outer: udp(4500, "UDP-encap: ESP\\(spi=0x00001092,seq=0x0\\), length 120"),
    isSealed: true,
  },
];

let lab: Lab;
let left: Host;
let right: Host;
let folder: string;
let keys: KeyFolder;
/** The left one. */
let daemon: RunningDaemon;
const daemons: RunningDaemon[] = [];
let file: string;

const address = (dev: string, n: number): string => {
  const index = MODES.findIndex((mode) => mode.dev === dev);
  return dev === "sit" ? `fd00:${index}::${n}` : `10.${index}.0.${n}`;
};

const start = async (host: Host, n: number, tier: string): Promise<RunningDaemon> => {
  const underlay = (end: number): string => `192.0.2.${end}`;
  const tunnels = MODES.map(({ dev, keys: words }, index) => {
    const own = `"${address(dev, n)}/${dev === "sit" ? 64 : 24}"`;
    const ends = `local: ${underlay(n)}, remote: ${underlay(3 - n)}, addresses: [${own}]`;
    const spi = (end: number): number => 0x1000 + 16 * index + end;
    const keyFile = keys.write(`${dev}${n}`, keyLines([key(spi(n))], key(spi(3 - n))));
    return `${dev}: { ${words.replace("KEYS", keyFile)}, ${ends} }`;
  });
  const mirror = `mir: { mode: erspan, session: 7, local: ${underlay(n)}, remote: ${underlay(3 - n)} }`;
  const started = await RunningDaemon.start(host, `{ ${tunnels.join(", ")}, ${mirror} }`, {
    workers: 2,
    daemon: `offload: ${tier}`,
  });
  daemons.push(started);
  return started;
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "vtepd-test-"));
  keys = new KeyFolder();
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  for (const host of [left, right]) host.sysctl("net.ipv6.conf.all.addr_gen_mode", 1);
  lab.wire(left, "eth0", right, "eth0", { mode: "wire-like", addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  file = join(folder, "capture.pcapng");
}, 60_000);

afterEach(async ({ task }) => {
  if (task.suite?.tasks.at(-1) !== task) return; // the daemons are of a tier, for all its tests
  await Promise.all(daemons.splice(0).map((one) => one.stop()));
});

afterAll(async () => {
  await Promise.all(daemons.map((one) => one.stop()));
  await lab.close();
  keys.delete();
  rmSync(folder, { recursive: true, force: true });
});

const capture = async (path: string, ...words: readonly string[]): Promise<Child> => {
  rmSync(path, { force: true });
  const socket = ["-socket", daemon.socket];
  const child = left.spawn(process.execPath, ["dist/vtepctl.js", ...socket, "capture", ...words, "write", path]);
  await waitFor(() => readFileSync(path).length > 0 || !child.running, { what: "the first blocks" });
  return child;
};

const ended = async (child: Child): Promise<readonly PcapngPacket[]> => {
  child.signal("SIGINT");
  expect(await child.exited, child.stderr).toEqual({ code: 0, signal: null });
  return readPcapng(readFileSync(file)).packets;
};

/** Without what a kernel writes into outer headers: identification, DF, both checksums. */
const known = (packet: Uint8Array): string => {
  const hex = Buffer.from(packet).toString("hex");
  const upper = packet[9] === UDP ? hex.slice(40, 52) + hex.slice(56) : hex.slice(40);
  return hex.slice(0, 8) + hex.slice(16, 20) + hex.slice(24, 40) + upper;
};

describe.each(["auto", "tunnel"])("a capture, tier %s", (tier) => {
  it("has the same of each mode: frames of the device, and packets as on the wire", async () => {
    [daemon] = await Promise.all([start(left, 1, tier), start(right, 2, "auto")]);
    const child = await capture(file, "filter", "icmp or icmp6");
    const wire = await PacketCapture.start(right, "eth0", IPIP, UDP, SIT, GRE, ESP);
    for (const { dev } of MODES) {
      expect([dev, left.exec("ping", ["-c", "1", "-W", "5", address(dev, 2)]).status]).toEqual([dev, 0]);
    }
    const taken = await ended(child);
    expect(child.stderr).toBe(`${4 * MODES.length} packets captured\n0 packets dropped by vtepd\n`);
    const read = left.run("tcpdump", ["-nntr", file]).split("\n");
    // By their times: on a machine that is busy with other things a worker may tell later than is waited for.
    const order = [...taken.keys()].sort((a, b) => taken[a]!.timeMs - taken[b]!.timeMs);
    const [packets, text] = [order.map((at) => taken[at]!), order.map((at) => read[at]!)];
    const onWire = await wire.packets();
    await wire.stop();
    for (const [index, { dev, outer, isSealed = false }] of MODES.entries()) {
      const four = packets.slice(4 * index, 4 * index + 4);
      expect(four.map((packet) => [packet.interface, packet.direction])).toEqual([
        [dev, "out"],
        ["underlay", "out"],
        ["underlay", "in"],
        [dev, "in"],
      ]);
      const lines = text.slice(4 * index, 4 * index + 4);
      expect([dev, lines[0]]).toEqual([dev, expect.stringMatching(/^IP6? .*echo request, id/)]);
      expect([dev, lines[1]]).toEqual([dev, expect.stringMatching(outer)]);
      expect([dev, lines[3]]).toEqual([dev, expect.stringMatching(/^IP6? .*echo reply, id/)]);
      const sent = four[1]!.bytes.subarray(14);
      expect(four[1]!.comment).toBe(isSealed ? "esp: sequence number unknown" : "");
      if (isSealed) {
        expect(four[1]!.length - 14).toBe(sent.readUInt16BE(2)); // all of it, of which there is the header
        const head = (packet: Uint8Array): string => known(packet).slice(0, known(sent).length - 24);
        expect(onWire.map(head)).toContain(head(sent));
      } else expect(onWire.map(known)).toContain(known(sent));
    }
    expect(left.run("tcpdump", ["-nnvvtr", file])).not.toMatch(/bad|wrong|truncated/i);
  });

  it("has what no tunnel takes, and why", async () => {
    const child = await capture(file, "outer", "filter", "drop");
    const send = async (protocol: number, ...hex: readonly string[]): Promise<void> => {
      for (const one of hex) right.run("python3", ["-c", SEND, String(protocol), one]);
    };
    const sealed = (spi: string, sequence: number): string => `${spi}0000000${sequence}${"ab".repeat(60)}`;
    await send(ESP, sealed("00009999", 1), sealed("00001081", 1), sealed("00001081", 9));
    await send(GRE, `2000080000000063${"45".repeat(20)}`);
    await waitFor(() => readPcapng(readFileSync(file)).packets.length === 4, {
      what: () =>
        `four packets, have ${left.run("tcpdump", ["-nntr", file])} ${JSON.stringify(readPcapng(readFileSync(file)).packets.map(({ comment }) => comment))} ${JSON.stringify(daemon.drops("decap"))}`,
    });
    const packets = await ended(child);
    expect(packets.map(({ comment, direction }) => `${direction} ${comment}`)).toEqual([
      "in drop: esp_no_association",
      "in drop: esp_replayed",
      "in drop: esp_forged",
      "in drop: no_tunnel",
    ]);
    expect(packets.map(({ bytes }) => bytes.subarray(20, 28).toString("hex"))).toEqual([
      "0000999900000001",
      "0000108100000001",
      "0000108100000009",
      "2000080000000063",
    ]);
  });

  it("has frames that were mirrored in ERSPAN", async () => {
    const child = await capture(file, "dev", "mir", "filter", "ether src 02:00:00:00:00:09", "count", "2");
    const frame = `02000000000a020000000009${"88b5"}${"77".repeat(46)}`;
    right.run("python3", ["-c", SEND, String(GRE), `100088be00000001${"1000000700000000"}${frame}`]);
    expect(await child.exited, child.stderr).toEqual({ code: 0, signal: null });
    expect(readPcapng(readFileSync(file)).packets.map((packet) => [packet.interface, packet.direction])).toEqual([
      ["underlay", "in"],
      ["mir", "in"],
    ]);
    expect(left.run("tcpdump", ["-nntr", file])).toMatch(
      /GREv0, Flags \[sequence# present\], seq 1, proto unknown \(0x88be\)|gre-proto-0x88be/,
    );
  });
});

/** Sends what it is given in hexadecimal as a packet of an IP protocol to the left end. */
const SEND = `
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_RAW, int(sys.argv[1])) as out:
    out.sendto(bytes.fromhex(sys.argv[2]), ("192.0.2.1", 0))
`;
