/**
 * The scenarios with a VRF, of tutorials 0 and 3: two hosts as namespaces of one user-mode-linux guest, whose kernel has VRFs, while
 * each host's vtepd comes there with the first line that needs it. Processors of the guest: one.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Lab } from "../../support/lab.ts";
import { UmlPeer } from "../../support/uml-peer.ts";

/** Two daemons, two starts of Node beside them, and the guest itself. */
const GUEST_MB = 900;
const TIMEOUT_MS = 400_000;
const REPLIED = " 0% packet loss";
const VTEPCTL = `${process.execPath} ${process.cwd()}/dist/vtepctl.js`;

let lab: Lab;
let guest: UmlPeer;

/** A network and a mount namespace of the guest. */
class GuestHost {
  readonly #name: string;

  private constructor(name: string) {
    this.#name = name;
  }

  static async make(name: string): Promise<GuestHost> {
    const mounts = "mkdir -p /run/netns; mount -t tmpfs netns /run/netns; mount -t sysfs sysfs /sys";
    const hold = `unshare --net --mount bash -c '${mounts}; ip link set lo up; echo $$ >/run/${name}.pid; exec sleep infinity'`;
    await guest.run(`setsid ${hold} >/run/${name}.log 2>&1 & until [ -s /run/${name}.pid ]; do sleep 0.05; done`);
    return new GuestHost(name);
  }

  /** Lines until one fails. @throws Error with them */
  run(lines: string): Promise<string> {
    const script = Buffer.from(lines).toString("base64");
    const env = `VTEPD_SOCKET=/run/${this.#name}/control.sock VTEPD_HOME=$(cat /run/${this.#name}.pid) PATH=/run/shim:$PATH`;
    const inside = `nsenter --target $(cat /run/${this.#name}.pid) --net --mount`;
    return guest.run(`${env} ${inside} bash -exc "$(echo ${script} | base64 -d)"`, TIMEOUT_MS);
  }
}

let a: GuestHost;
let b: GuestHost;

beforeAll(async () => {
  lab = Lab.create();
  const hub = lab.host("hub");
  hub.ip("tuntap", "add", "dev", "to-guest", "mode", "tap");
  hub.ip("link", "set", "to-guest", "up");
  guest = await UmlPeer.start(hub, "to-guest", undefined, GUEST_MB);
  await guest.run("/run/modprobe -a vrf tun veth");
  await guest.run(`${VTEPCTL} shim /run/shim`, TIMEOUT_MS);
  [a, b] = [await GuestHost.make("a"), await GuestHost.make("b")];
  await guest.run("ip link add eth1 type veth peer name eth2 && ip link set eth1 name eth0 netns $(cat /run/a.pid)");
  await guest.run("ip link set eth2 name eth0 netns $(cat /run/b.pid)");
  for (const [host, ...addresses] of [
    [a, "10.0.0.250/24", "172.16.10.60/24"],
    [b, "10.0.0.251/24", "172.16.10.13/24"],
  ] as const) {
    for (const address of addresses) await host.run(`ip addr add ${address} dev eth0`);
    await host.run("ip link set eth0 up");
  }
}, TIMEOUT_MS);

afterAll(async () => {
  await guest?.stop();
  await lab.close();
});

describe("with VRFs", () => {
  it(
    "tutorial 0: a tunnel in a VRF, and any destination through it",
    async () => {
      for (const [host, remote, local, address] of [
        [a, "10.0.0.251", "10.0.0.250", "172.18.1.2/24"],
        [b, "10.0.0.250", "10.0.0.251", "172.18.1.3/24"],
      ] as const) {
        await host.run(`
          ip link add vxlan0 type vxlan id 40 dstport 4789 remote ${remote} local ${local} dev eth0
          ip link add vrf0 type vrf table 10
          ip link set vrf0 up
          ip link set vxlan0 master vrf0
          ip addr add ${address} dev vxlan0
          ip link set vxlan0 up
          ip vrf show`);
      }
      expect(await a.run("ip route show vrf vrf0")).toMatch(/172\.18\.1\.0\/24 dev vxlan0 .*src 172\.18\.1\.2/);
      expect(await a.run("ping -c 2 -l 2 -i 5 -W 5 172.18.1.3 -I vxlan0")).toContain(REPLIED);
      await b.run("ip addr add 192.168.0.10/24 dev vxlan0; ip addr add 10.0.0.253/24 dev vxlan0");
      await a.run("ip route add default dev vxlan0 table 10 vrf vrf0");
      expect(await a.run("ip route show table 10")).toContain("default dev vxlan0 scope link");
      expect(await a.run("ping -c 2 -l 2 -i 5 -W 5 192.168.0.10 -I vxlan0")).toContain(REPLIED);
      expect(await a.run("ping -c 2 -l 2 -i 5 -W 5 10.0.0.253 -I vxlan0")).toContain(REPLIED);
      for (const host of [a, b]) await host.run("ip link del vxlan0; ip link del vrf0");
    },
    TIMEOUT_MS,
  );

  it(
    "tutorial 3: an L3 overlay with proxy_arp and 169.254.1.1",
    async () => {
      const nodes = [
        {
          host: a,
          local: "172.16.10.60",
          remote: "172.16.10.13",
          own: "10.0.0",
          other: "10.0.1",
          address: "2.2.2.2/8",
        },
        {
          host: b,
          local: "172.16.10.13",
          remote: "172.16.10.60",
          own: "10.0.1",
          other: "10.0.0",
          address: "2.2.2.3/8",
        },
      ];
      for (const { host, local, remote, own, other, address } of nodes) {
        const inside = await host.run(`
          # The document never sets it, and its host has a default route, by which 169.254.1.1 is answered for.
          sysctl -w net.ipv4.ip_forward=1
          ip route add default via ${remote}
          ip link add vrf0 type vrf table 10
          ip link set vrf0 up
          ip netns ls
          ip netns add ns0
          ip netns add ns1
          ip link show type veth
          ip link add veth0 type veth peer name veth00
          ip link add veth1 type veth peer name veth11
          ip link set veth00 netns ns0
          ip link set veth11 netns ns1
          ip link set dev veth0 master vrf0
          ip link set dev veth0 up
          ip link set dev veth1 master vrf0
          ip link set dev veth1 up
          ip netns exec ns0 ip a
          ip netns exec ns0 ip link set veth00 up
          ip netns exec ns0 ip link set lo up
          ip netns exec ns0 ip addr add ${own}.2 dev veth00
          ip netns exec ns1 ip link set veth11 up
          ip netns exec ns1 ip link set lo up
          ip netns exec ns1 ip addr add ${own}.3 dev veth11
          ip netns exec ns1 ip route add 169.254.1.1 dev veth11 scope link
          ip netns exec ns1 ip route add default via 169.254.1.1 dev veth11
          ip netns exec ns0 ip route add 169.254.1.1 dev veth00 scope link
          ip netns exec ns0 ip route add default via 169.254.1.1 dev veth00
          echo 1 > /proc/sys/net/ipv4/conf/veth0/proxy_arp
          echo 1 > /proc/sys/net/ipv4/conf/veth1/proxy_arp
          ip route add vrf vrf0 ${own}.2 dev veth0
          ip route add vrf vrf0 ${own}.3 dev veth1
          ip netns exec ns1 ping -c 1 -W 5 ${own}.2
          ip link add vxlan0 type vxlan id 100 dstport 4789 local ${local} remote ${remote}
          ip link set dev vxlan0 master vrf0
          ip link set dev vxlan0 up
          ip addr add ${address} dev vxlan0
          echo 1 > /proc/sys/net/ipv4/conf/vxlan0/proxy_arp
          ip link show master vrf0
          ip route add vrf vrf0 ${other}.2 dev vxlan0
          ip route add vrf vrf0 ${other}.3 dev vxlan0
          ip route show vrf vrf0
          sysctl -w net.ipv4.conf.all.rp_filter=0`);
        expect(inside).toContain(REPLIED);
      }
      expect(await a.run("ip link show type vxlan")).toMatch(/^\d+: vxlan0: .* master vrf0 /m);
      expect(await a.run("ip -d link show vxlan0")).toContain(
        "\n    vxlan id 100 remote 172.16.10.13 local 172.16.10.60 srcport 0 0 dstport 4789 ",
      );
      expect(await a.run("ip netns exec ns0 ping -c 2 -l 2 -i 5 -W 5 10.0.1.2")).toContain(REPLIED);
      expect(await b.run("ip netns exec ns0 ping -c 2 -l 2 -i 5 -W 5 10.0.0.2")).toContain(REPLIED);
    },
    TIMEOUT_MS,
  );
});
