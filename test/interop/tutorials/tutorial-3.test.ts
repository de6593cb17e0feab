/** Tutorial 3 without its VRFs: containers on a bridge of each host, and tunnels of IP packets between sites. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Lab } from "../../support/lab.ts";
import { TutorialHost } from "./tutorial-host.ts";

const REPLIED = " 0% packet loss";
const TIMEOUT_MS = 60_000;

let lab: Lab;
let a: TutorialHost;
let b: TutorialHost;

beforeAll(async () => {
  lab = Lab.create();
  const [left, right] = [lab.host("a"), lab.host("b")];
  lab.wire(left, "enp1s0", right, "enp1s0", { addresses: ["192.168.3.2/24", "192.168.3.3/24"] });
  [a, b] = await Promise.all([TutorialHost.on(left), TutorialHost.on(right)]);
}, TIMEOUT_MS);

afterAll(async () => {
  await Promise.all([a?.stop(), b?.stop()]);
  await lab.close();
}, TIMEOUT_MS);

describe("tutorial 3", () => {
  it(
    "point-to-point vxlan under a network of containers",
    () => {
      for (const [host, dev, local, remote, address] of [
        [a, "vxlan2", "192.168.3.2", "192.168.3.3", "10.1.2.2"],
        [b, "vxlan3", "192.168.3.3", "192.168.3.2", "10.1.3.2"],
      ] as const) {
        // The container is a namespace; the document puts vxlan2 into the bridge of host B, where it has made vxlan3.
        host.run(`
          ip link add ${dev} type vxlan id 42 dstport 4789 remote ${remote} local ${local} dev enp1s0
          ip link set dev ${dev} up
          ip link add br-11a085318341 type bridge
          ip link set br-11a085318341 up
          ip link set dev ${dev} master br-11a085318341
          ip netns add vxlan-container01
          ip link add vethc type veth peer name eth0 netns vxlan-container01
          ip link set vethc master br-11a085318341 up
          ip -n vxlan-container01 addr add ${address}/16 dev eth0
          ip -n vxlan-container01 link set eth0 up`);
      }
      expect(a.run("ip netns exec vxlan-container01 ping -c 2 -i 0.2 -W 2 10.1.3.2")).toContain(REPLIED);
      expect(a.run("bridge fdb show br br-11a085318341")).toMatch(/ dev vxlan2 dst 192\.168\.3\.3 self$/m);
    },
    TIMEOUT_MS,
  );

  it(
    "multicast beside it, with a VNI of its own",
    () => {
      for (const [host, address] of [
        [a, "10.10.1.2/24"],
        [b, "10.10.1.3/24"],
      ] as const) {
        host.run(`
          ip link add vxlan33 type vxlan id 43 dstport 4789 group 239.1.1.1 dev enp1s0
          ip link set dev vxlan33 up
          ip addr add ${address} dev vxlan33`);
      }
      expect(a.run("ping -c 2 -i 0.2 -W 2 10.10.1.3")).toContain(REPLIED);
    },
    TIMEOUT_MS,
  );

  it(
    "IPIP between two bridges: the gateway is the outer address",
    () => {
      for (const [host, local, remote, own, other] of [
        [a, "192.168.3.2", "192.168.3.3", "10.20.2", "10.20.3"],
        [b, "192.168.3.3", "192.168.3.2", "10.20.3", "10.20.2"],
      ] as const) {
        host.run(`
          echo 1 > /proc/sys/net/ipv4/ip_forward
          ip link add name br0 type bridge
          ip addr add ${own}.1/24 dev br0
          ip link set dev br0 up
          # Fails where the module is missing, and is not needed.
          modprobe ipip || true
          ip tunnel add tunl1 mode ipip remote ${remote} local ${local}
          ip link set tunl1 up
          ip route add ${other}.0/24 via ${remote} dev tunl1 onlink
          ip link add veth0 type veth peer veth00
          ip link set dev veth0 up
          ip link set dev veth0 master br0
          ip netns ls
          ip netns add ns1
          ip link set dev veth00 netns ns1
          ip netns exec ns1 ip addr add ${own}.2/24 dev veth00
          # Not in the document; without it the route has no gateway.
          ip netns exec ns1 ip link set veth00 up
          ip netns exec ns1 ip route add default via ${own}.1 dev veth00
          ip netns exec ns1 ip route`);
      }
      expect(a.run("ip netns exec ns1 ping -c 2 -i 0.2 -W 2 10.20.3.2")).toContain("ttl=62");
      for (const host of [a, b]) host.run("ip tunnel del tunl1");
    },
    TIMEOUT_MS,
  );

  it.each([
    ["GRE", "ip tunnel add t0 mode gre", "-4", "10.30.0"],
    ["GRETAP with a key", "ip link add t0 type gretap key 7", "-4", "10.31.0"],
    ["SIT", "ip tunnel add t0 mode sit ttl 64", "-6", "2001:db8:42:"],
  ])(
    "%s, a heading of the document",
    (_what, line, family, network) => {
      const address = (n: number): string => (family === "-6" ? `${network}:${n}` : `${network}.${n}`);
      for (const [n, host, local, remote] of [
        [2, a, "192.168.3.2", "192.168.3.3"],
        [3, b, "192.168.3.3", "192.168.3.2"],
      ] as const) {
        host.run(`
          ${line} remote ${remote} local ${local}
          ip ${family} addr add ${address(n)}/${family === "-6" ? "64" : "24"} dev t0
          ip link set t0 up`);
      }
      expect(a.run(`ping ${family} -c 2 -i 0.2 -W 2 ${address(3)}`)).toContain(REPLIED);
      for (const host of [a, b]) host.run("ip link del t0");
    },
    TIMEOUT_MS,
  );
});
