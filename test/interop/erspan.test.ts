/**
 * Frames that a Linux 6.1 guest mirrors to vtepd in ERSPAN of each type, and what else comes with such headers. A device of the
 * guest's own has a frame sent to nobody, which tc mirrors into its erspan device.
 *
 *   left (vtepd, device "mirror") 192.0.2.1, 2001:db8::1 === 192.0.2.2, 2001:db8::2 guest (erspan "ov0" <- dummy "seen")
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { UmlPeer } from "../support/uml-peer.ts";
import { waitFor } from "../support/wait-for.ts";

const STATION = "02:00:00:00:00:77";

let lab: Lab;
let left: Host;
let guest: UmlPeer;
let daemon: RunningDaemon;

beforeAll(async () => {
  lab = Lab.create();
  left = lab.host("left");
  const hub = lan(lab, [{ host: left, addresses: ["192.0.2.1/24", "2001:db8::1/64"] }]);
  left.sysctl("net.ipv6.conf.default.disable_ipv6", 1); // no router solicitations from the TAP
  hub.ip("tuntap", "add", "dev", "to-guest", "mode", "tap");
  hub.ip("link", "set", "to-guest", "master", "br0", "up");
  guest = await UmlPeer.start(hub, "to-guest");
  await guest.run("ip address add 192.0.2.2/24 dev eth0 && ip address add 2001:db8::2/64 dev eth0 nodad");
});

afterEach(async () => {
  await daemon?.stop();
  await guest.run("ip link delete ov0; ip link delete seen; true");
});

afterAll(async () => {
  await guest?.stop();
  await lab.close();
});

const begin = async (keys: string): Promise<void> => {
  daemon = await RunningDaemon.start(left, `{ mirror: { ${keys} } }`);
};

const mirror = async (words: string): Promise<void> => {
  await guest.run(
    `ip link add ov0 ${words} && ip link set ov0 up && ` +
      "ip link add seen type dummy && ip link set seen arp on up && ip address add 198.51.100.1/24 dev seen && " +
      `ip neighbour add 198.51.100.7 lladdr ${STATION} dev seen nud permanent && tc qdisc add dev seen clsact && ` +
      "tc filter add dev seen egress matchall action mirred egress mirror dev ov0",
  );
};

/** Three frames that the guest sends to a station that is not there. */
const pingStation = (): Promise<string> => guest.run("ping -c 3 -i 0.1 -W 0.1 -s 1000 198.51.100.7; true");

const V4 = "local 192.0.2.2 remote 192.0.2.1";
const V6 = "local 2001:db8::2 remote 2001:db8::1";
const ENDS4 = "local: 192.0.2.1, remote: 192.0.2.2";
const ENDS6 = 'local: "2001:db8::1", remote: "2001:db8::2"';

describe("ERSPAN from Linux 6.1", () => {
  it.each([
    ["I", `mode: erspan, ${ENDS4}`, `type erspan ${V4} erspan_ver 0`],
    ["II", `mode: erspan, session: 7, ${ENDS4}`, `type erspan seq key 7 ${V4} erspan_ver 1 erspan 99`],
    [
      "III",
      `mode: erspan, session: 1023, ${ENDS4}`,
      `type erspan seq key 1023 ${V4} erspan_ver 2 erspan_dir ingress erspan_hwid 17`,
    ],
    ["II over IPv6", `mode: ip6erspan, session: 7, ${ENDS6}`, `type ip6erspan seq key 7 ${V6} erspan_ver 1 erspan 99`],
    [
      "III over IPv6",
      `mode: ip6erspan, session: 8, ${ENDS6}`,
      `type ip6erspan seq key 8 ${V6} erspan_ver 2 erspan_dir egress erspan_hwid 1`,
    ],
  ])(
    "type %s comes out of the device, and nothing goes back",
    async (_type, keys, words) => {
      await begin(keys);
      const capture = left.spawn("tcpdump", ["-nnel", "--immediate-mode", "-i", "mirror", "icmp"]);
      await capture.waitForOutput(/listening/);
      await mirror(words);
      await pingStation();
      await waitFor(() => (capture.stdout.match(/198\.51\.100\.7: ICMP echo request/g) ?? []).length === 3, {
        what: "three mirrored frames",
      });
      await capture.stop();
      expect(capture.stdout).toContain(`> ${STATION}, ethertype IPv4 (0x0800), length 1042`);
      left.address("mirror", "198.51.100.9/24");
      left.exec("ping", ["-c", "1", "-W", "0.2", "198.51.100.1"]);
      expect(daemon.stats().links[0]?.tx.packets).toBe(0);
      expect(daemon.drops("encap")["no_tx_target"]).toBeGreaterThan(0);
      expect([daemon.drops("decap"), daemon.drops("socket")]).toEqual([{}, {}]);
    },
    40_000,
  );

  it.each([
    ["another session", `mode: erspan, session: 8, ${ENDS4}`],
    ["type II where type I is wanted", `mode: erspan, ${ENDS4}`],
    ["ERSPAN for a gretap tunnel with that key", `mode: gretap, key: 7, ${ENDS4}`],
  ])(
    "%s is dropped",
    async (_what, keys) => {
      await begin(keys);
      await mirror(`type erspan seq key 7 ${V4} erspan_ver 1 erspan 99`);
      await pingStation();
      await waitFor(() => (daemon.drops("socket")["no_tunnel"] ?? 0) >= 3, { what: "three drops" });
      expect(daemon.stats().links[0]?.rx.packets).toBe(0);
    },
    40_000,
  );
});
