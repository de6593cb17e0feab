/**
 * Geneve between two hosts with vtepd, and from a remote VTEP that sends what the tests craft. test/interop has it with peers
 * that others wrote.
 *
 *   left 10.42.0.1 -- gn42 -- eth0 192.0.2.1, 2001:db8::1 ===== eth0 192.0.2.2, 2001:db8::2 -- gn42 -- right 10.42.0.2
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LinkJson } from "../../src/control/link-json.ts";
import { RunningDaemon } from "../support/daemon.ts";
import { udpFrame } from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { RawVtep } from "../support/raw-vtep.ts";
import { requests } from "../support/requests.ts";
import { transfer } from "../support/transfer.ts";
import { waitFor } from "../support/wait-for.ts";

const BYTES = 4_000_000;
const PORT = 6081;
const DEVICE_MAC = "02:00:00:00:ff:01";

let lab: Lab;
let left: Host;
let right: Host;
const daemons: RunningDaemon[] = [];

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  left.address("eth0", "2001:db8::1/64");
  right.address("eth0", "2001:db8::2/64");
  left.sysctl("net.ipv6.conf.default.disable_ipv6", 1); // no router solicitations from the TAPs
  right.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
});
afterEach(async () => {
  await Promise.all(daemons.splice(0).map((daemon) => daemon.stop()));
  await lab.close();
});

const start = async (host: Host, keys: string): Promise<RunningDaemon> => {
  const daemon = await RunningDaemon.start(host, `{ gn42: { mode: geneve, id: 42, ${keys} } }`);
  daemons.push(daemon);
  return daemon;
};

describe("between two vtepd", () => {
  it.each([
    ["IPv4", 1450, (n: number) => `192.0.2.${n}`],
    ["IPv6", 1430, (n: number) => `2001:db8::${n}`],
  ] as const)("over %s: ping, MTU, TCP in superframes", async (_family, mtu, at) => {
    const keys = (n: number): string =>
      `local: "${at(n)}", remote: "${at(3 - n)}", addresses: [10.42.0.${n}/24], options: refuse`;
    await Promise.all([start(left, keys(1)), start(right, keys(2))]);
    expect(left.ip("-o", "link", "show", "gn42")).toContain(` mtu ${mtu} `);
    const ping = (...words: string[]): string =>
      left.exec("ping", [...requests(3), "-M", "do", ...words, "10.42.0.2"]).stdout;
    expect(ping("-s", String(mtu - 28))).toContain(" 0% packet loss");
    expect(ping("-s", String(mtu - 27))).toContain("100% packet loss");
    const { sent, received } = await transfer(left, right, "10.42.0.2", BYTES);
    expect(received).toBe(sent);
    for (const daemon of daemons) expect([daemon.drops("decap"), daemon.drops("socket")]).toEqual([{}, {}]);
    const [link] = daemons[0]!.json<LinkJson[]>("link", "show");
    expect(link?.linkinfo).toMatchObject({ info_kind: "geneve", info_data: { id: 42, port: PORT } });
  });
});

let flow = 1000;
/** Each frame is a flow of its own, so that none are merged on their way to the device. */
const frame = (): Uint8Array =>
  udpFrame({
    src: "02:00:00:00:00:05",
    dst: DEVICE_MAC,
    srcIp: "10.42.0.5",
    dstIp: "10.42.0.1",
    srcPort: flow++,
    dstPort: 2000,
    payload: "hello",
  });

interface Fields {
  readonly vni?: number;
  /** The second byte. */
  readonly second?: number;
  readonly protocol?: number;
  /** As the header says it, and bytes that are there. */
  readonly optionWords?: number;
  readonly optionBytes?: number;
}

const datagram = (fields: Fields = {}): Uint8Array => {
  const { vni = 42, second = 0, protocol = 0x6558, optionWords = 0 } = fields;
  const header = Buffer.alloc(8 + (fields.optionBytes ?? 4 * optionWords), 0xa5);
  header.writeUInt8(optionWords, 0);
  header.writeUInt8(second, 1);
  header.writeUInt16BE(protocol, 2);
  header.writeUIntBE(vni, 4, 3);
  header.writeUInt8(0, 7);
  return Buffer.concat([header, frame()]);
};

describe("what a remote VTEP sends", () => {
  let vtep: RawVtep;
  beforeEach(async () => {
    vtep = await RawVtep.start(right, { address: "192.0.2.2", port: PORT });
  });

  const begin = (more = ""): Promise<RunningDaemon> =>
    start(left, `local: 192.0.2.1, remote: 192.0.2.2, macaddress: "${DEVICE_MAC}"${more}`);
  const send = (bytes: Uint8Array): void => vtep.send("192.0.2.1", bytes, PORT);
  const delivered = (daemon: RunningDaemon): number | undefined => daemon.stats().links[0]?.rx.packets;

  it.each([0, 1, 10, 63])("with %i words of options is delivered", async (optionWords) => {
    const daemon = await begin();
    for (let n = 0; n < 3; n++) send(datagram({ optionWords }));
    await waitFor(() => delivered(daemon) === 3, { what: "three frames" });
    expect(left.ipJson("-s", "link", "show", "gn42")[0].stats64.rx.bytes).toBe(3 * frame().length);
    expect([daemon.drops("socket"), daemon.drops("decap")]).toEqual([{}, {}]);
  });

  it.each<[string, Uint8Array, "socket" | "decap", string]>([
    ["of another VNI", datagram({ vni: 43 }), "socket", "vxlan_vni_not_found"],
    ["of VXLAN", Buffer.concat([Buffer.from("0800000000002a00", "hex"), frame()]), "socket", "invalid_hdr"],
    ["with the control bit", datagram({ second: 0x80 }), "socket", "invalid_hdr"],
    ["with a critical option", datagram({ second: 0x40, optionWords: 2 }), "socket", "invalid_hdr"],
    ["with an IPv4 packet inside", datagram({ protocol: 0x0800 }), "socket", "invalid_hdr"],
    ["with half a header", Buffer.alloc(7), "socket", "hdr_trunc"],
    ["with options that go beyond its end", datagram({ optionWords: 63, optionBytes: 4 }), "decap", "pkt_too_small"],
  ])("%s is dropped", async (_what, bytes, where, reason) => {
    const daemon = await begin();
    send(bytes);
    await daemon.waitForDrops(where, { [reason]: 1 });
    expect(delivered(daemon)).toBe(0);
  });

  it("with options is dropped where they are refused, and without is not", async () => {
    const daemon = await begin(", options: refuse");
    send(datagram({ optionWords: 1 }));
    send(datagram());
    await waitFor(() => delivered(daemon) === 1, { what: "one frame" });
    await daemon.waitForDrops("socket", { invalid_hdr: 1 });
  });
});
