/**
 *   left (ov0 10.42.0.1, gre0, ip0)                  right (vxlan0 10.42.0.2, the kernel's)
 *     vtepd --- eth0 192.0.2.1 === 192.0.2.2 eth0
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TraceView } from "../../src/dataplane/trace-view.ts";
import { RunningDaemon } from "../support/daemon.ts";
import { KeyFolder, keyHex, keyLines } from "../support/esp-keys.ts";
import { arpFrame, ipPacket, MAC_A, MAC_B, MAC_BROADCAST, udpFrame } from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;
let far: string;
let keys: KeyFolder;

beforeAll(async () => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  for (const host of [left, right]) host.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  right.ip("link", "add", "vxlan0", "type", "vxlan", ..."id 42 dstport 4789 remote 192.0.2.1 dev eth0".split(" "));
  right.address("vxlan0", "10.42.0.2/24");
  far = right.ipJson("link", "show", "vxlan0")[0].address;
  const common = "local: 192.0.2.1, remote: 192.0.2.2";
  const ov0 = `{ mode: vxlan, id: 42, ${common}, addresses: [10.42.0.1/24], arp-proxy: true, ttl: 7, type-of-service: 16 }`;
  const gre0 = `{ mode: gretap, ${common}, key: { input: 5, output: 6 }, vlan: drop }`;
  const ip0 = `{ mode: ipip, ${common} }`;
  keys = new KeyFolder();
  const keyFile = keys.write("left", keyLines([{ spi: 4097, hex: keyHex(1) }], { spi: 4098, hex: keyHex(2) }));
  const vti0 = `{ mode: vti, ${common}, key-file: ${keyFile} }`;
  daemon = await RunningDaemon.start(left, `{ ov0: ${ov0}, gre0: ${gre0}, ip0: ${ip0}, vti0: ${vti0} }`);
  expect(left.exec("ping", ["-c", "1", "-W", "5", "10.42.0.2"]).status).toBe(0);
  await waitFor(() => daemon.learned("ov0").length === 1, { what: "the far station" });
});
afterAll(async () => {
  await lab.close();
  keys.delete();
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const trace = (dev: string, bytes: Uint8Array, ...words: readonly string[]): TraceView =>
  daemon.json<TraceView>("trace", "frame", hex(bytes), "dev", dev, ...words);
const textOf = ({ steps }: TraceView, name: string): string => steps.find(({ step }) => step === name)?.text ?? "";

const frame = (dst: string, length = 100): Uint8Array =>
  udpFrame({
    src: MAC_A,
    dst,
    srcIp: "10.42.0.1",
    dstIp: "10.42.0.2",
    srcPort: 7,
    dstPort: 9,
    payload: new Uint8Array(length),
  });

describe("vtepctl trace frame", () => {
  it("tells to whom and how a frame goes, with the header and the port that it really has", async () => {
    const bytes = frame(far);
    const view = trace("ov0", bytes);
    expect(view).toMatchObject({ direction: "out", outcome: "sent", reason: null });
    expect(textOf(view, "fdb")).toBe(`${far} is at 192.0.2.2 port 4789 vni 42, learned`);
    expect(textOf(view, "parse")).toBe(`${MAC_A} > ${far}, 10.42.0.1 > 10.42.0.2, UDP 7 > 9, 142 bytes`);
    const [copy] = view.copies;
    expect(copy).toMatchObject({ to: "192.0.2.2", port: 4789, from: "192.0.2.1", ttl: 7, tos: 16, frame: hex(bytes) });
    const seen = right.spawn("tcpdump", [
      "--immediate-mode",
      "-c1",
      "-nntlvx",
      "-i",
      "eth0",
      "udp port 4789 and greater 150",
    ]);
    await seen.waitForOutput(/listening/);
    left.run("python3", ["-c", SEND, hex(bytes)]);
    await seen.exited;
    expect(seen.stdout).toContain(`192.0.2.1.${copy!.sourcePort} > 192.0.2.2.4789`);
    expect(seen.stdout.replaceAll(/\s|0x[\da-f]{4}:/g, "")).toContain(`${copy!.header}${copy!.frame}`);
    expect(seen.stdout).toMatch(/tos 0x10, ttl 7/);
  });

  it("leaves nothing behind", () => {
    const state = () => [daemon.learned("ov0"), daemon.stats().links.map(({ drops, flooded }) => [drops, flooded])];
    const before = state();
    for (const from of [[], ["from", "192.0.2.2"], ["from", "192.0.2.9"]]) trace("ov0", frame(MAC_B), ...from);
    expect(state()).toEqual(before);
  });

  it("tells of floods, unknown stations, answers and sizes", () => {
    expect(textOf(trace("ov0", frame(MAC_B)), "fdb")).toBe(`no entry for ${MAC_B}: to the flood list`);
    const flooded = trace("ov0", frame(MAC_BROADCAST));
    expect(flooded).toMatchObject({ outcome: "flooded", copies: [{ to: "192.0.2.2" }] });
    expect(textOf(flooded, "flood")).toBe("to 192.0.2.2");
    const question = arpFrame({ operation: "request", senderMac: MAC_A, senderIp: "10.42.0.1", targetIp: "10.42.0.2" });
    const answered = trace("ov0", question);
    expect(answered).toMatchObject({ outcome: "answered", copies: [{ to: null }] });
    expect(textOf(answered, "neighbour")).toBe("a question that is answered here");
    expect(trace("ov0", frame(far, 3000))).toMatchObject({ outcome: "answered", reason: "pkt_too_big_told" });
    expect(trace("ov0", frame(far).subarray(0, 9))).toMatchObject({ outcome: "dropped", reason: "pkt_too_small" });
  });

  it("tells of frames from the underlay: who is accepted, what is learned", () => {
    const view = trace("ov0", frame("02:00:00:00:00:99"), "from", "192.0.2.2");
    expect(view).toMatchObject({ direction: "in", outcome: "delivered" });
    expect(textOf(view, "learn")).toBe(`${MAC_A} is learned at 192.0.2.2 port 4789 vni 42`);
    expect(textOf(view, "receive")).toBe("from 192.0.2.2 by 192.0.2.1:4789, tunnel header 0800000000002a00");
    const stranger = trace("ov0", frame(MAC_B), "from", "192.0.2.9");
    expect(stranger).toMatchObject({ outcome: "dropped", reason: "unknown_vtep" });
    expect(textOf(stranger, "remote")).toBe("192.0.2.9 is none of ov0: only known ones are accepted");
    expect(textOf(stranger, "outcome")).toBe(
      "dropped: unknown_vtep, outer source address is no remote VTEP of this tunnel",
    );
  });

  it("takes what other tunnels carry", () => {
    const packet = ipPacket({ srcIp: "10.43.0.1", dstIp: "10.43.0.2" }, 1, "ping");
    expect(trace("ip0", packet)).toMatchObject({
      outcome: "sent",
      copies: [{ to: "192.0.2.2", protocol: 4, header: "" }],
    });
    expect(trace("ip0", packet, "from", "192.0.2.2")).toMatchObject({ outcome: "delivered" });
    expect(trace("gre0", frame(MAC_B))).toMatchObject({ copies: [{ protocol: 47, header: "2000655800000006" }] });
    expect(trace("gre0", frame(MAC_B), "from", "192.0.2.2")).toMatchObject({ outcome: "delivered" });
    const tagged = udpFrame({
      src: MAC_A,
      dst: MAC_B,
      vlans: [9],
      srcIp: "10.0.0.1",
      dstIp: "10.0.0.2",
      srcPort: 1,
      dstPort: 2,
    });
    expect(trace("gre0", tagged)).toMatchObject({ outcome: "dropped", reason: "vlan_tagged" });
  });

  it("takes what is inside of sealed packets, and says by which key they are", () => {
    const packet = ipPacket({ srcIp: "10.44.0.2", dstIp: "10.44.0.1" }, 1, "ping");
    const out = trace("vti0", packet);
    expect(out).toMatchObject({ outcome: "sent", copies: [{ to: "192.0.2.2", protocol: 50, frame: hex(packet) }] });
    expect(textOf(out, "send")).toContain("IP protocol 50, TTL default, TOS 0, to be sealed by SPI 4098, ");
    const came = trace("vti0", packet, "from", "192.0.2.2");
    expect(came).toMatchObject({ outcome: "delivered", reason: null, copies: [{ to: null, frame: hex(packet) }] });
    expect(textOf(came, "receive")).toBe("from 192.0.2.2 by 192.0.2.1 protocol 50, sealed by SPI 4097, opened");
    expect(trace("vti0", packet, "from", "192.0.2.9")).toMatchObject({ outcome: "dropped", reason: "unknown_vtep" });
    expect(trace("vti0", packet.subarray(0, 9), "from", "192.0.2.2")).toMatchObject({ outcome: "dropped" });
  });

  it("prints steps, and says what is wrong with its words", () => {
    const { stdout } = daemon.vtepctl("trace", "frame", hex(frame(far)), "dev", "ov0");
    expect(stdout).toMatch(
      /^parse +02:00.*\ndevice +read from ov0\nneighbour +nothing to answer\nfdb +.*\nsend +to 192\.0\.2\.2 .*\noutcome +sent\n$/,
    );
    expect(daemon.vtepctl("trace", "frame", "123", "dev", "ov0")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("invalid bytes"),
    });
    expect(daemon.vtepctl("trace", "frame", "1234", "dev", "nope")).toMatchObject({ status: 2 });
    expect(daemon.vtepctl("trace", "frame", "1234", "dev", "ov0", "from", "2001:db8::1").status).not.toBe(0);
  });
});

/** Sends the bytes it is given in hexadecimal through the device, a few times. */
const SEND = `
import socket, sys, time
device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
device.bind(("ov0", 0))
for _ in range(5):
    device.send(bytes.fromhex(sys.argv[1]))
    time.sleep(0.1)
`;
