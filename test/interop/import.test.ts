/**
 * A kernel's tunnel devices, taken over: imported, deleted, and made again by vtepd of what was imported.
 *
 *   left: the kernel's vxlan, then vtepd --- 192.0.2.1 === 192.0.2.2 :right: the kernel's vxlan
 *   guest (user-mode-linux): the kernel's gre, gretap, ipip, sit, geneve, then vtepd --- hub: vtepd, the other ends
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeEach, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { requests } from "../support/requests.ts";
import { UmlPeer } from "../support/uml-peer.ts";

const VTEPD = fileURLToPath(new URL("../../dist/vtepd.js", import.meta.url));
const VTEPCTL = fileURLToPath(new URL("../../dist/vtepctl.js", import.meta.url));
const START_TIMEOUT_MS = 60_000;
/** Node's heap, the daemon's tables and the guest itself. */
const GUEST_MB = 512;

const folder = mkdtempSync(join(tmpdir(), "vtepd-test-"));
let lab: Lab;
let guest: UmlPeer | undefined;

beforeEach(() => {
  lab = Lab.create();
});
afterEach(async () => {
  await guest?.stop();
  guest = undefined;
  await lab.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What was imported, with a daemon's section of its own. */
const withDaemon = (text: string, socket: string): string =>
  `${text}daemon: { control: { socket: ${socket} }, workers: 1, state-directory: none }\n`;

it("takes over the kernel's vxlan with its entries", async () => {
  const [left, right] = [lab.host("left"), lab.host("right")];
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  const end = (host: Host, local: string, remote: string, ...more: string[]): void => {
    const words = ["local", local, "remote", remote, "dev", "eth0", "dstport", "4789", ...more];
    host.ip("link", "add", "vx42", "type", "vxlan", "id", "42", ...words);
  };
  end(left, "192.0.2.1", "192.0.2.2", "ttl", "9", "ageing", "100", "nolearning");
  end(right, "192.0.2.2", "192.0.2.1");
  right.address("vx42", "10.42.0.2/24");
  left.address("vx42", "10.42.0.1/24");
  const { address } = right.ipJson("link", "show", "vx42")[0];
  left.run("bridge", ["fdb", "add", address, "dev", "vx42", "dst", "192.0.2.2"]);
  left.run("bridge", ["fdb", "append", "00:00:00:00:00:00", "dev", "vx42", "dst", "192.0.2.3"]);
  left.ip("route", "add", "10.50.0.0/16", "via", "10.42.0.2");
  const ping = (): string => left.run("ping", [...requests(3), "10.42.0.2"]);
  expect(ping()).toContain("bytes from");

  const text = left.run(process.execPath, [VTEPCTL, "import", "live"]);
  const own = left.ipJson("link", "show", "vx42")[0];
  expect(parseConfig(text, "imported.yaml").settings.tunnels).toEqual({
    vx42: {
      mode: "vxlan",
      id: 42,
      local: "192.0.2.1",
      remote: "192.0.2.2",
      link: "eth0",
      port: 4789,
      ttl: 9,
      "mac-learning": false,
      ageing: 100,
      mtu: 1450,
      macaddress: own.address,
      addresses: ["10.42.0.1/24"],
      flood: ["192.0.2.3"],
      fdb: [{ mac: address, dst: "192.0.2.2" }],
      routes: [{ to: "10.50.0.0/16", via: "192.0.2.2", gateway: "10.42.0.2" }],
    },
  });

  left.ip("link", "del", "vx42");
  const file = join(folder, "vtepd.yaml");
  writeFileSync(file, withDaemon(text, join(folder, "control.sock")));
  expect(left.run(process.execPath, [VTEPD, "--check", "--config", file])).toContain(": ok");
  const daemon = left.spawn(process.execPath, [VTEPD, "--config", file]);
  await daemon.waitForOutput(/vtepd is forwarding/, START_TIMEOUT_MS);
  expect(ping()).toContain("bytes from");
  expect(left.ipJson("link", "show", "vx42")[0]).toMatchObject({ address: own.address, mtu: 1450 });
  expect(left.run("ip", ["route", "show", "10.50.0.0/16"])).toContain("via 10.42.0.2 dev vx42");
});

/** In the guest; R is the hub's end, of one family with the guest's. */
const KINDS = [
  { name: "g1", words: "gre key 7 ttl 64", keys: "mode: gre, key: 7", overlay: "10.1.0." },
  { name: "g2", words: "gretap csum ttl 64", keys: "mode: gretap, checksum: true", overlay: "10.2.0." },
  { name: "i1", words: "ipip ttl 64", keys: "mode: ipip", overlay: "10.3.0." },
  { name: "s1", words: "sit ttl 64", keys: "mode: sit", overlay: "fd00:4::" },
  { name: "v1", words: "geneve id 5", keys: "mode: geneve, id: 5", overlay: "10.5.0." },
] as const;
const length = (overlay: string): number => (overlay.includes(":") ? 64 : 24);

it("takes over the kernel's gre, gretap, ipip, sit and geneve", async () => {
  const hub = lab.host("hub");
  hub.ip("tuntap", "add", "dev", "to-guest", "mode", "tap");
  hub.ip("link", "set", "to-guest", "up");
  hub.address("to-guest", "192.0.2.2/24");
  guest = await UmlPeer.start(hub, "to-guest", undefined, GUEST_MB);
  await guest.run("/run/modprobe -a tun ip_gre ipip sit geneve && ip address add 192.0.2.1/24 dev eth0");
  for (const { name, words, overlay } of KINDS) {
    const local = words.startsWith("geneve") ? "" : "local 192.0.2.1";
    await guest.run(`ip link add ${name} type ${words} ${local} remote 192.0.2.2 && ip link set ${name} up`);
    await guest.run(`ip address add ${overlay}1/${length(overlay)} dev ${name}`);
  }
  const others = KINDS.map(
    ({ name, keys, overlay }) =>
      `${name}: { ${keys}, local: 192.0.2.2, remote: 192.0.2.1, addresses: ["${overlay}2/${length(overlay)}"] }`,
  );
  await RunningDaemon.start(hub, `{ ${others.join(", ")} }`);
  const pings = (): void => {
    for (const { overlay } of KINDS) {
      expect(hub.run("ping", [...requests(3), `${overlay}1`])).toContain("bytes from");
    }
  };
  pings();

  await guest.run(`${process.execPath} ${VTEPCTL} import live >/run/imported.yaml`, START_TIMEOUT_MS);
  const text = await guest.run("cat /run/imported.yaml");
  const { tunnels } = parseConfig(text, "imported.yaml");
  expect(tunnels.map(({ name, mode }) => [name, mode]).sort()).toEqual(
    KINDS.map(({ name, words }) => [name, words.split(" ")[0]]),
  );
  for (const { name } of KINDS) await guest.run(`ip link del ${name}`);
  await guest.run("/run/modprobe -r ip_gre gre ipip sit tunnel4 geneve 2>/run/null; true");
  const daemon = withDaemon("", "/run/control.sock").trim();
  await guest.run(`cp /run/imported.yaml /run/vtepd.yaml && printf '%s\\n' '${daemon}' >>/run/vtepd.yaml`);
  await guest.run(`setsid ${process.execPath} ${VTEPD} --config /run/vtepd.yaml >/run/log 2>&1 &`);
  const wait = "for n in $(seq 300); do grep -q forwarding /run/log && exit; sleep 0.1; done; cat /run/log; exit 1";
  await guest.run(wait, 2 * START_TIMEOUT_MS);
  pings();
});
