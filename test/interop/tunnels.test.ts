/**
 * Every mode with a peer that others wrote: a user-mode-linux 6.1 guest. The rows are in tunnel-rows.ts.
 *
 *   left (vtepd, ov0 10.42.0.1) 192.0.2.1, 2001:db8::1 === 192.0.2.2, 2001:db8::2 guest (ov0 10.42.0.2)
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { shellTransfer } from "../support/transfer.ts";
import { UmlPeer } from "../support/uml-peer.ts";
import { type Family, overlay4, overlay6, underlayAddress } from "./peer.ts";
import { TUNNEL_ROWS, type TunnelRow } from "./tunnel-rows.ts";

const BYTES = 1_000_000;

let lab: Lab;
let left: Host;
let guest: UmlPeer;
let daemon: RunningDaemon | undefined;

beforeAll(async () => {
  lab = Lab.create();
  left = lab.host("left");
  const hub = lan(lab, [{ host: left, addresses: ["192.0.2.1/24", "2001:db8::1/64"] }]);
  hub.ip("tuntap", "add", "dev", "to-guest", "mode", "tap");
  hub.ip("link", "set", "to-guest", "master", "br0", "up");
  guest = await UmlPeer.start(hub, "to-guest");
  await guest.run("ip address add 192.0.2.2/24 dev eth0 && ip address add 2001:db8::2/64 dev eth0 nodad");
}, 60_000);

afterEach(async () => {
  await daemon?.stop();
  daemon = undefined;
  await guest.run("ip link delete ov0 2>/dev/null; true");
});

afterAll(async () => {
  await guest?.stop();
  await lab.close();
});

const outer = ({ mode, underlay }: TunnelRow): Family => underlay ?? (mode.includes("6") ? "IPv6" : "IPv4");
const inner = (family: Family, n: number): string => (family === "IPv4" ? overlay4(n) : overlay6(n));

const startPeer = async (row: TunnelRow, words: string): Promise<void> => {
  const [local, remote] = [underlayAddress(outer(row), 2), underlayAddress(outer(row), 1)];
  const ends = words.replace(" L ", ` ${local} `).replace(/ R( |$)/, ` ${remote} `);
  await guest.run(
    `ip link add ov0 ${ends} && ip link set ov0 mtu ${row.mtu} up && ` +
      `ip address add ${overlay4(2)}/24 dev ov0 && ip address add ${overlay6(2)}/64 dev ov0 nodad`,
  );
};

const startVtepd = async (row: TunnelRow): Promise<RunningDaemon> => {
  const ends = `local: "${underlayAddress(outer(row), 1)}", remote: "${underlayAddress(outer(row), 2)}"`;
  const more = row.keys === undefined ? "" : `, ${row.keys}`;
  const tunnel = `{ ov0: { mode: ${row.mode}, ${ends}, addresses: [${overlay4(1)}/24, "${overlay6(1)}/64"]${more} } }`;
  daemon = await RunningDaemon.start(left, tunnel);
  return daemon;
};

const ping = (host: Host, family: Family, ...words: string[]): string =>
  host.exec("ping", ["-c", "2", "-i", "0.05", "-W", "1", ...words, inner(family, 2)]).stdout;

describe("vtepd and user-mode-linux 6.1", () => {
  it.each(TUNNEL_ROWS)(
    "$name: ping, MTU, TCP",
    async (row) => {
      await Promise.all([startPeer(row, row.peer), startVtepd(row)]);
      expect(left.ip("-o", "link", "show", "ov0")).toContain(` mtu ${row.mtu} `);
      for (const family of row.carries) {
        expect(left.run("ping", ["-c", "3", "-i", "0.05", "-W", "2", inner(family, 2)])).toContain(" 0% packet loss");
        const header = family === "IPv4" ? 28 : 48;
        expect(ping(left, family, "-M", "do", "-s", String(row.mtu - header))).toContain(" 0% packet loss");
        expect(await guest.run(`ping -c 2 -i 0.05 -W 1 -M do -s ${row.mtu - header} ${inner(family, 1)}`)).toContain(
          " 0% packet loss",
        );
        for (const direction of ["to", "from"] as const) {
          const { sent, received } = await shellTransfer(
            left,
            inner(family, 1),
            direction,
            (line, timeoutMs) => guest.run(line, timeoutMs),
            BYTES,
          );
          expect(received).toBe(sent);
        }
      }
      expect([daemon?.drops("decap"), daemon?.drops("socket")]).toEqual([{}, {}]);
    },
    40_000,
  );

  it.each(TUNNEL_ROWS.filter(({ wrong }) => wrong !== undefined))(
    "$name: the wrong one passes nothing",
    async (row) => {
      await Promise.all([startPeer(row, row.wrong!), startVtepd(row)]);
      for (const family of row.carries) {
        await guest.run(`ping -c 2 -i 0.05 -W 0.3 ${inner(family, 1)} && exit 1 || true`);
      }
      const drops = { ...daemon?.drops("socket"), ...daemon?.drops("decap") };
      expect(Object.keys(drops)).not.toEqual([]);
      expect(daemon?.stats().links[0]?.rx.packets).toBe(0);
    },
    40_000,
  );
});
