/**
 * ESP with a peer that others wrote: the IPsec of a user-mode-linux 6.1 guest, through a vti device and through policies alone.
 *
 *   left (vtepd, ov0 10.42.0.1) 192.0.2.1 === 192.0.2.2 guest (ov0 10.42.0.2)
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { KeyFolder, type KeyPair, keyHex, keyLines } from "../support/esp-keys.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { shellTransfer } from "../support/transfer.ts";
import { UmlPeer } from "../support/uml-peer.ts";

const BYTES = 1_000_000;
const MTU = 1446;

let lab: Lab;
let left: Host;
let guest: UmlPeer;
let keys: KeyFolder;
let daemon: RunningDaemon | undefined;

beforeAll(async () => {
  lab = Lab.create();
  left = lab.host("left");
  const hub = lan(lab, [{ host: left, addresses: ["192.0.2.1/24"] }]);
  hub.ip("tuntap", "add", "dev", "to-guest", "mode", "tap");
  hub.ip("link", "set", "to-guest", "master", "br0", "up");
  guest = await UmlPeer.start(hub, "to-guest");
  await guest.run("ip address add 192.0.2.2/24 dev eth0; /run/modprobe -a esp4 ip_vti gcm seqiv xfrm_user");
}, 60_000);

beforeEach(() => {
  keys = new KeyFolder();
});

afterEach(async () => {
  await daemon?.stop();
  daemon = undefined;
  keys.delete();
  await guest.run(
    "ip link delete ov0 2>/dev/null; ip xfrm state flush; ip xfrm policy flush; ip address flush dev lo label lo:esp; true",
  );
});

afterAll(async () => {
  await guest?.stop();
  await lab.close();
});

const toLeft = (bytes: 16 | 32): KeyPair => ({ spi: 0x1001, hex: keyHex(1, bytes) });
const toGuest = (bytes: 16 | 32): KeyPair => ({ spi: 0x1002, hex: keyHex(2, bytes) });

/** `flags`: behind the algorithm. */
const state = (from: number, to: number, { spi, hex }: KeyPair, flags: string): string =>
  `ip xfrm state add src 192.0.2.${from} dst 192.0.2.${to} proto esp spi ${spi} mode tunnel ` +
  `aead 'rfc4106(gcm(aes))' 0x${hex} 128 ${flags}`;

interface Row {
  readonly name: string;
  readonly bytes: 16 | 32;
  readonly flags: string;
  readonly more: string;
}

const ROWS: readonly Row[] = [
  { name: "AES-256", bytes: 32, flags: "replay-window 32", more: "" },
  { name: "AES-128", bytes: 16, flags: "replay-window 32", more: "" },
  {
    name: "64-bit sequence numbers",
    bytes: 32,
    flags: "replay-window 128 flag esn",
    more: ", extended-sequence: true",
  },
];

const startGuest = async ({ bytes, flags }: Row, wrong?: KeyPair): Promise<void> => {
  await guest.run(
    `${state(2, 1, toLeft(bytes), flags)} && ${state(1, 2, wrong ?? toGuest(bytes), flags)} && ` +
      "ip link add ov0 type vti local 192.0.2.2 remote 192.0.2.1 key 42 && " +
      "ip xfrm policy add dir out src 0.0.0.0/0 dst 0.0.0.0/0 mark 42 tmpl src 192.0.2.2 dst 192.0.2.1 proto esp mode tunnel && " +
      "ip xfrm policy add dir in src 0.0.0.0/0 dst 0.0.0.0/0 mark 42 tmpl src 192.0.2.1 dst 192.0.2.2 proto esp mode tunnel && " +
      `ip link set ov0 mtu ${MTU} up && ip address add 10.42.0.2/24 dev ov0 && ` +
      "echo 1 >/proc/sys/net/ipv4/conf/ov0/disable_policy",
  );
};

const startVtepd = async ({ bytes, more }: Row): Promise<RunningDaemon> => {
  const keyFile = keys.write("left", keyLines([toLeft(bytes)], toGuest(bytes)));
  const ends = "local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24]";
  daemon = await RunningDaemon.start(left, `{ ov0: { mode: vti, ${ends}, key-file: ${keyFile}${more} } }`);
  return daemon;
};

describe("vtepd and the IPsec of Linux 6.1", () => {
  it.each(ROWS)(
    "$name: ping, MTU, TCP",
    async (row) => {
      await Promise.all([startGuest(row), startVtepd(row)]);
      expect(left.ip("-o", "link", "show", "ov0")).toContain(` mtu ${MTU} `);
      expect(left.run("ping", ["-c", "3", "-i", "0.05", "-W", "3", "10.42.0.2"])).toContain(" 0% packet loss");
      const size = String(MTU - 28);
      const words = ["-c", "2", "-i", "0.05", "-W", "3", "-M", "do", "-s"];
      expect(left.run("ping", [...words, size, "10.42.0.2"])).toContain(" 0% packet loss");
      expect(await guest.run(`ping ${words.join(" ")} ${size} 10.42.0.1`)).toContain(" 0% packet loss");
      for (const direction of ["to", "from"] as const) {
        const run = (line: string, timeoutMs?: number): Promise<string> => guest.run(line, timeoutMs);
        const { sent, received } = await shellTransfer(left, "10.42.0.1", direction, run, BYTES);
        expect(received).toBe(sent);
      }
      expect([daemon?.drops("decap"), daemon?.drops("socket")]).toEqual([{}, {}]);
    },
    60_000,
  );

  it("pass nothing to each other with unequal keys", async () => {
    const [row] = ROWS as [Row];
    await Promise.all([startGuest(row, { ...toGuest(32), hex: keyHex(9) }), startVtepd(row)]);
    expect(left.exec("ping", ["-c", "3", "-i", "0.05", "-W", "1", "10.42.0.2"]).stdout).toContain(" 100% packet loss");
    expect(daemon?.stats().links[0]?.rx.packets).toBe(0);
    expect(await guest.run("ip -s xfrm state")).toMatch(/failed 3/);
  }, 30_000);

  it("are told of by reason where the guest's keys are others, or unknown", async () => {
    const [row] = ROWS as [Row];
    await startVtepd(row);
    const send = async (pair: KeyPair): Promise<void> => {
      await guest.run(
        `${state(2, 1, pair, "")} && ip address add 10.9.9.2/32 dev lo label lo:esp && ` +
          "ip xfrm policy add dir out src 10.9.9.2 dst 10.9.9.1 tmpl src 192.0.2.2 dst 192.0.2.1 proto esp mode tunnel && " +
          "ip route replace 10.9.9.1 via 192.0.2.1 src 10.9.9.2; ping -c 2 -i 0.05 -W 0.3 10.9.9.1; " +
          "ip xfrm state flush; ip xfrm policy flush; ip address flush dev lo label lo:esp; true",
      );
    };
    await send({ ...toLeft(32), hex: keyHex(8) });
    expect(daemon?.drops("socket")).toEqual({ esp_forged: 2 });
    await send({ ...toLeft(32), spi: 0x7777 });
    expect(daemon?.drops("socket")).toEqual({ esp_forged: 2, esp_no_association: 2 });
  }, 30_000);
});
