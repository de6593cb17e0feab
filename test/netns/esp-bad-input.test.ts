/**
 * ESP that somebody on the way has kept, changed, cut or made up, through a running daemon: what passes between two vtepds is
 * captured and held back by the switch, and sent again from a raw socket. Of each packet is counted why it did not pass, and nothing
 * comes out.
 *
 *   left 10.42.0.1 -- ov0 -- eth0 192.0.2.1, 2001:db8::1 ===== switch ===== ...2 eth0 -- ov0 -- right
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { KeyFolder, type KeyPair, keyHex, keyLines } from "../support/esp-keys.ts";
import { type EspKey, sealEsp } from "../support/esp-packet.ts";
import { ipPacket, PROTOCOL_UDP } from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { PacketCapture } from "../support/packet-capture.ts";
import { sendPackets } from "../support/raw-packets.ts";
import { waitFor } from "../support/wait-for.ts";

const ESP = 50;
const ESP_HEADER_BYTES = 16;
const ICV_BYTES = 16;
const NO_NEXT_HEADER = 59;
const ENCAP_PORT = 4500;
const WINDOW = 32;
const TO_LEFT: KeyPair = { spi: 0x1001, hex: keyHex(1) };
const TO_RIGHT: KeyPair = { spi: 0x1002, hex: keyHex(2) };

interface Underlay {
  readonly name: string;
  readonly mode: "vti" | "vti6";
  readonly more: string;
  readonly isInUdp: boolean;
  readonly isExtended: boolean;
}

const UNDERLAYS: readonly Underlay[] = [
  { name: "vti", mode: "vti", more: "", isInUdp: false, isExtended: false },
  { name: "vti6", mode: "vti6", more: ", extended-sequence: true", isInUdp: false, isExtended: true },
  { name: "vti in UDP", mode: "vti", more: ", encap: { type: espinudp }", isInUdp: true, isExtended: false },
];

let lab: Lab;
let left: Host;
let right: Host;
let between: Host;
let keys: KeyFolder;
let one: RunningDaemon;
let two: RunningDaemon;

beforeEach(() => {
  keys = new KeyFolder();
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  between = lan(lab, [
    { host: left, addresses: ["192.0.2.1/24", "2001:db8::1/64"] },
    { host: right, addresses: ["192.0.2.2/24", "2001:db8::2/64"] },
  ]);
  // No router solicitations and the like from the TUNs: packets are counted.
  for (const host of [left, right]) host.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
});
afterEach(async () => {
  await Promise.all([one, two].map((daemon) => daemon?.stop()));
  await lab.close();
  keys.delete();
});

const addressOf = ({ mode }: Underlay, n: number): string => (mode === "vti" ? `192.0.2.${n}` : `2001:db8::${n}`);

const start = async (underlay: Underlay): Promise<void> => {
  const tunnel = (n: number, keyFile: string): string =>
    `{ ov0: { mode: ${underlay.mode}, local: "${addressOf(underlay, n)}", remote: "${addressOf(underlay, 3 - n)}", ` +
    `addresses: [10.42.0.${n}/24], key-file: ${keyFile}, replay-window: ${WINDOW}${underlay.more} } }`;
  [one, two] = await Promise.all([
    RunningDaemon.start(left, tunnel(1, keys.write("left", keyLines([TO_LEFT], TO_RIGHT)))),
    RunningDaemon.start(right, tunnel(2, keys.write("right", keyLines([TO_RIGHT], TO_LEFT)))),
  ]);
};

const state = (packets: number, drops: Readonly<Record<string, number>>): string =>
  JSON.stringify([packets, ...Object.entries(drops).toSorted()]);

/** Packets that came out of the device. */
const delivered = (): number => one.stats().links[0]!.rx.packets;

const ping = (count: number, ...words: string[]): string =>
  right.exec("ping", ["-c", String(count), "-i", "0.005", "-W", "2", ...words, "10.42.0.1"]).stdout;

/** What right sends, with so many packets of its overlay. */
const captured = async (count: number, ...words: string[]): Promise<Uint8Array[]> => {
  const capture = await PacketCapture.start(between, "to-right", ESP, PROTOCOL_UDP);
  expect(ping(count, ...words)).toContain(`${count} packets transmitted`);
  const packets = await capture.packets(count);
  await capture.stop();
  expect(packets).toHaveLength(count);
  return packets;
};

/** The same, and left never gets them. */
const heldBack = async (count: number): Promise<Uint8Array[]> => {
  const before = delivered();
  between.ip("link", "set", "to-left", "nomaster");
  const packets = await captured(count, "-W", "0.1");
  between.ip("link", "set", "to-left", "master", "br0");
  expect(delivered()).toBe(before);
  return packets;
};

describe.each(UNDERLAYS)("ESP of $name", (underlay) => {
  const espKey = ({ spi, hex }: KeyPair): EspKey => ({
    spi,
    key: new Uint8Array(Buffer.from(hex, "hex")),
    isExtended: underlay.isExtended,
  });
  const [toLeft, toRight] = [espKey(TO_LEFT), espKey(TO_RIGHT)];
  const headerBytes = (underlay.mode === "vti" ? 20 : 40) + (underlay.isInUdp ? 8 : 0);
  const espOf = (packet: Uint8Array): Uint8Array => packet.slice(headerBytes);

  /** In outer headers of right's. */
  const wrap = (esp: Uint8Array): Uint8Array => {
    const ends = { srcIp: addressOf(underlay, 2), dstIp: addressOf(underlay, 1) };
    if (!underlay.isInUdp) return ipPacket(ends, ESP, esp);
    const udp = Buffer.alloc(8);
    for (const at of [0, 2]) udp.writeUInt16BE(ENCAP_PORT, at);
    udp.writeUInt16BE(8 + esp.length, 4);
    return ipPacket(ends, PROTOCOL_UDP, new Uint8Array(Buffer.concat([udp, esp])));
  };
  const send = (...packets: readonly Uint8Array[]): void => sendPackets(right, addressOf(underlay, 1), ...packets);
  const changed = (packet: Uint8Array, at: number): Uint8Array => {
    const esp = espOf(packet);
    esp[at < 0 ? esp.length + at : at]! ^= 0x40;
    return wrap(esp);
  };

  it("is counted by reason where it is a replay, forged or cut, and passes once where it is genuine", async () => {
    await start(underlay);
    const passed = await captured(5);
    let count = passed.length;
    expect(delivered()).toBe(count);
    const drops: Record<string, number> = {};
    /** So many packets more came out, and so many more did not. */
    const expectMore = async (packets: number, dropped: Record<string, number>): Promise<void> => {
      count += packets;
      for (const [reason, more] of Object.entries(dropped)) drops[reason] = (drops[reason] ?? 0) + more;
      const wanted = state(count, drops);
      const have = (): string => state(delivered(), one.drops("socket"));
      await waitFor(() => have() === wanted, { what: () => `${wanted}, have ${have()}` });
    };

    send(...passed, ...passed);
    await expectMore(0, { esp_replayed: 2 * passed.length });

    const held = await heldBack(4);
    const [first] = held as [Uint8Array];
    const { length: size } = espOf(first);
    // Sequence number, initialisation vector, first and last byte of the ciphertext, first and last of the check value.
    const places = [7, 8, 15, ESP_HEADER_BYTES, size - ICV_BYTES - 1, size - ICV_BYTES, size - 1];
    const inner = ipPacket({ srcIp: "10.42.0.2", dstIp: "10.42.0.9" }, PROTOCOL_UDP, new Uint8Array(64));
    const forged = [
      ...places.map((at) => changed(first, at)),
      ...[4, 8, 20].map((bytes) => wrap(espOf(first).slice(0, -bytes))),
      wrap(sealEsp({ ...toLeft, key: toRight.key }, 100n, inner)),
    ];
    const cut = [1, 8, 16, 33].map((length) => wrap(espOf(first).slice(0, length)));
    // The last is what left sends itself, sent back.
    const unknown = [changed(first, 0), changed(first, 3), wrap(sealEsp(toRight, 100n, inner))];
    send(...forged, ...cut, ...unknown);
    await expectMore(0, { esp_forged: forged.length, hdr_trunc: cut.length, esp_no_association: unknown.length });

    // None of that took a number from the packets that were held back, nor does their order matter.
    send(...held.toReversed(), ...held);
    await expectMore(held.length, { esp_replayed: held.length });

    const [late] = (await heldBack(1)) as [Uint8Array];
    expect(ping(WINDOW)).toContain(`${WINDOW} packets transmitted`);
    send(late);
    await expectMore(WINDOW, { esp_replayed: 1 });
    const [soon] = (await heldBack(1)) as [Uint8Array];
    expect(ping(WINDOW - 1)).toContain(`${WINDOW - 1} packets transmitted`);
    send(soon);
    await expectMore(WINDOW, {});

    // By who has the key: no padding is that long, and a dummy packet (RFC 4303 section 2.6) has nothing inside.
    send(wrap(sealEsp(toLeft, 1000n, inner, { padLength: 200 })));
    send(wrap(sealEsp(toLeft, 1001n, inner, { nextHeader: NO_NEXT_HEADER })));
    await expectMore(0, { invalid_hdr: 1, unhandled_proto: 1 });
    expect(one.drops("decap")).toEqual({});
  });
});
