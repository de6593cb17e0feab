/**
 * ESP with a peer that others wrote: the IPsec of a user-mode-linux 6.1 guest, through a vti or vti6 device and, in UDP, through
 * policies alone, because packets in UDP do not reach the guest's vti devices.
 *
 *   left (vtepd, ov0 10.42.0.1, fd00:42::1) 192.0.2.1, 2001:db8::1 === ...2 guest (ov0 or lo 10.42.0.2, fd00:42::2)
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { KeyFolder, type KeyPair, keyHex, keyLines } from "../support/esp-keys.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { requests } from "../support/requests.ts";
import { shellTransfer } from "../support/transfer.ts";
import { UmlPeer } from "../support/uml-peer.ts";

const BYTES = 1_000_000;
const ENCAP_PORT = 4500;

let lab: Lab;
let left: Host;
let guest: UmlPeer;
let keys: KeyFolder;
let daemon: RunningDaemon | undefined;

beforeAll(async () => {
  lab = Lab.create();
  left = lab.host("left");
  const hub = lan(lab, [{ host: left, addresses: ["192.0.2.1/24", "2001:db8::1/64"] }]);
  hub.ip("tuntap", "add", "dev", "to-guest", "mode", "tap");
  hub.ip("link", "set", "to-guest", "master", "br0", "up");
  guest = await UmlPeer.start(hub, "to-guest");
  await guest.run(
    "ip address add 192.0.2.2/24 dev eth0; ip address add 2001:db8::2/64 dev eth0; " +
      "/run/modprobe -a esp4 esp6 ip_vti ip6_vti gcm seqiv xfrm_user",
  );
});

beforeEach(() => {
  keys = new KeyFolder();
});

afterEach(async () => {
  await daemon?.stop();
  daemon = undefined;
  keys.delete();
  await guest.run(
    "kill $(cat /run/encap 2>/dev/null) 2>/dev/null; ip link delete ov0 2>/dev/null; " +
      "ip xfrm state flush; ip xfrm policy flush; ip address flush dev lo scope global; true",
  );
});

afterAll(async () => {
  await guest?.stop();
  await lab.close();
});

const toLeft = (bytes: 16 | 32): KeyPair => ({ spi: 0x1001, hex: keyHex(1, bytes) });
const toGuest = (bytes: 16 | 32): KeyPair => ({ spi: 0x1002, hex: keyHex(2, bytes) });

interface Row {
  readonly name: string;
  readonly mode: "vti" | "vti6";
  readonly bytes: 16 | 32;
  /** Of the guest's states, behind the algorithm. */
  readonly flags: string;
  readonly more: string;
  readonly isInUdp?: true;
  readonly mtu: number;
}

const ROWS: readonly Row[] = [
  { name: "AES-256", mode: "vti", bytes: 32, flags: "replay-window 32", more: "", mtu: 1446 },
  { name: "AES-128", mode: "vti", bytes: 16, flags: "replay-window 32", more: "", mtu: 1446 },
  {
    name: "64-bit sequence numbers",
    mode: "vti",
    bytes: 32,
    flags: "replay-window 128 flag esn",
    more: ", extended-sequence: true",
    mtu: 1446,
  },
  { name: "over IPv6", mode: "vti6", bytes: 16, flags: "replay-window 32", more: "", mtu: 1426 },
  {
    name: "in UDP",
    mode: "vti",
    bytes: 32,
    flags: "replay-window 32",
    more: ", encap: { type: espinudp }",
    isInUdp: true,
    mtu: 1438,
  },
  {
    name: "in UDP over IPv6",
    mode: "vti6",
    bytes: 32,
    flags: "replay-window 32",
    more: ", encap: { type: espinudp }",
    isInUdp: true,
    mtu: 1418,
  },
];

const FAMILIES = [
  { any: "0.0.0.0/0", left: "10.42.0.1", guest: "10.42.0.2", prefix: 24, pingHeaders: 28 },
  { any: "::/0", left: "fd00:42::1", guest: "fd00:42::2", prefix: 64, pingHeaders: 48 },
] as const;

const addressOf = ({ mode }: Pick<Row, "mode">, n: number): string =>
  mode === "vti" ? `192.0.2.${n}` : `2001:db8::${n}`;

/** States of the guest's; of its tunnels both IPv4 and IPv6 are inside. */
const state = (row: Row, from: number, to: number, { spi, hex }: KeyPair): string =>
  `ip xfrm state add src ${addressOf(row, from)} dst ${addressOf(row, to)} proto esp spi ${spi} mode tunnel ` +
  `aead 'rfc4106(gcm(aes))' 0x${hex} 128 ${row.flags} flag af-unspec` +
  (row.isInUdp === undefined ? "" : ` encap espinudp ${ENCAP_PORT} ${ENCAP_PORT} 0.0.0.0`);

/** What lets the guest's kernel take ESP out of UDP: a socket that says so (UDP_ENCAP, UDP_ENCAP_ESPINUDP), which IKE would have. */
const encapSocket = ({ mode }: Row): string => {
  const program =
    `import socket,time; s=socket.socket(socket.${mode === "vti" ? "AF_INET" : "AF_INET6"},socket.SOCK_DGRAM); ` +
    `s.setsockopt(17,100,2); s.bind(('',${ENCAP_PORT})); open('/run/encap.ready','w'); time.sleep(600)`;
  return (
    `rm -f /run/encap.ready; python3 -c "${program}" </dev/null >/dev/null 2>&1 & echo $! >/run/encap; ` +
    "until test -e /run/encap.ready; do sleep 0.05; done"
  );
};

const policies = (row: Row, selectors: (family: (typeof FAMILIES)[number]) => { out: string; in: string }): string => {
  const template = (from: number, to: number): string =>
    `tmpl src ${addressOf(row, from)} dst ${addressOf(row, to)} proto esp mode tunnel`;
  return FAMILIES.map((family) => {
    const { out, in: inbound } = selectors(family);
    return `ip xfrm policy add dir out ${out} ${template(2, 1)} && ip xfrm policy add dir in ${inbound} ${template(1, 2)}`;
  }).join(" && ");
};

const byDevice = (row: Row): string =>
  `ip link add ov0 type ${row.mode} local ${addressOf(row, 2)} remote ${addressOf(row, 1)} key 42 && ` +
  `${policies(row, ({ any }) => ({ out: `src ${any} dst ${any} mark 42`, in: `src ${any} dst ${any} mark 42` }))} && ` +
  `ip link set ov0 mtu ${row.mtu} up && ` +
  `${FAMILIES.map(({ guest: address, prefix }) => `ip address add ${address}/${prefix} dev ov0`).join(" && ")} && ` +
  "echo 1 >/proc/sys/net/ipv4/conf/ov0/disable_policy";

const byPolicies = (row: Row): string =>
  `${encapSocket(row)}; ${policies(row, ({ left: l, guest: g }) => ({ out: `src ${g} dst ${l}`, in: `src ${l} dst ${g}` }))} && ` +
  FAMILIES.map(
    ({ left: l, guest: g, any }) =>
      `ip address add ${g}/${any === "::/0" ? 128 : 32} dev lo && ip route replace ${l} dev eth0 src ${g}`,
  ).join(" && ");

const startGuest = async (row: Row, wrong?: KeyPair): Promise<void> => {
  const states = [state(row, 2, 1, toLeft(row.bytes)), state(row, 1, 2, wrong ?? toGuest(row.bytes))];
  await guest.run(`${states.join(" && ")} && ${row.isInUdp ? byPolicies(row) : byDevice(row)}`);
};

const startVtepd = async (row: Row): Promise<RunningDaemon> => {
  const keyFile = keys.write("left", keyLines([toLeft(row.bytes)], toGuest(row.bytes)));
  const ends = `local: "${addressOf(row, 1)}", remote: "${addressOf(row, 2)}"`;
  const addresses = FAMILIES.map(({ left: address, prefix }) => `"${address}/${prefix}"`).join(", ");
  const tunnel = `mode: ${row.mode}, ${ends}, addresses: [${addresses}], key-file: ${keyFile}${row.more}`;
  daemon = await RunningDaemon.start(left, `{ ov0: { ${tunnel} } }`);
  return daemon;
};

describe("vtepd and the IPsec of Linux 6.1", () => {
  it.each(ROWS)(
    "$name: ping, MTU, TCP",
    async (row) => {
      await Promise.all([startGuest(row), startVtepd(row)]);
      expect(left.ip("-o", "link", "show", "ov0")).toContain(` mtu ${row.mtu} `);
      for (const { left: l, guest: g, pingHeaders } of FAMILIES) {
        expect(left.run("ping", [...requests(3), g])).toContain(" 0% packet loss");
        const words = [...requests(2), "-M", "do", "-s", String(row.mtu - pingHeaders)];
        expect(left.run("ping", [...words, g])).toContain(" 0% packet loss");
        expect(await guest.run(`ping ${words.join(" ")} ${l}`)).toContain(" 0% packet loss");
        for (const direction of ["to", "from"] as const) {
          const run = (line: string, timeoutMs?: number): Promise<string> => guest.run(line, timeoutMs);
          const { sent, received } = await shellTransfer(left, l, direction, run, BYTES);
          expect(received).toBe(sent);
        }
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
  });

  it("are told of by reason where the guest's keys are others, or unknown", async () => {
    const [row] = ROWS as [Row];
    await startVtepd(row);
    const send = async (pair: KeyPair): Promise<void> => {
      await guest.run(
        `${state({ ...row, flags: "" }, 2, 1, pair)} && ip address add 10.9.9.2/32 dev lo label lo:esp && ` +
          "ip xfrm policy add dir out src 10.9.9.2 dst 10.9.9.1 tmpl src 192.0.2.2 dst 192.0.2.1 proto esp mode tunnel && " +
          "ip route replace 10.9.9.1 via 192.0.2.1 src 10.9.9.2; ping -c 2 -i 0.05 -W 0.3 10.9.9.1; " +
          "ip xfrm state flush; ip xfrm policy flush; ip address flush dev lo scope global; true",
      );
    };
    await send({ ...toLeft(32), hex: keyHex(8) });
    expect(daemon?.drops("socket")).toEqual({ esp_forged: 2 });
    await send({ ...toLeft(32), spi: 0x7777 });
    expect(daemon?.drops("socket")).toEqual({ esp_forged: 2, esp_no_association: 2 });
  });
});
