/** Tutorial 3 without its VRFs: containers on a bridge of each host, and tunnels of IP packets between sites. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeyFolder, keyHex, keyLines } from "../../support/esp-keys.ts";
import { Lab } from "../../support/lab.ts";
import { waitFor } from "../../support/wait-for.ts";
import { TutorialHost } from "./tutorial-host.ts";

const REPLIED = " 0% packet loss";

let lab: Lab;
let a: TutorialHost;
let b: TutorialHost;

beforeAll(async () => {
  lab = Lab.create();
  const [left, right] = [lab.host("a"), lab.host("b")];
  lab.wire(left, "enp1s0", right, "enp1s0", { addresses: ["192.168.3.2/24", "192.168.3.3/24"] });
  [a, b] = await Promise.all([TutorialHost.on(left), TutorialHost.on(right)]);
});

afterAll(async () => {
  await Promise.all([a?.stop(), b?.stop()]);
  await lab.close();
});

describe("tutorial 3", () => {
  it("a container's namespace by its names: a macvlan in it, and a tunnel in that one's place", async () => {
    const container = await a.container();
    const gateway = "172.16.21.254";
    b.run(`ip addr add ${gateway}/23 dev enp1s0`);
    // Docker keeps a container's namespace under a name of digits; /run/netns stands in for its folder. The document's "attacch"
    // is a slip, and its link for nginx is called busybox.
    const before = a.run(`
        lsns
        lsns --type net
        ip netns attach nginx ${container.pid}
        ip netns identify ${container.pid}
        ip netns attach aa4fc1e4df42 ${container.pid}
        ln -s /run/netns/aa4fc1e4df42 /var/run/netns/busybox
        ip link add macvlan1 link enp1s0 type macvlan mode bridge
        ip link set dev macvlan1 netns nginx
        ip netns exec nginx ip link
        ip netns exec nginx ip link set macvlan1 up
        ip netns exec nginx ip route`);
    expect(before).toMatch(/^nginx$/m);
    expect(b.exec("ping -c 1 -W 1 172.16.20.120").status).not.toBe(0);
    a.run(`
        ip netns exec nginx ip addr add 172.16.20.120/23 dev macvlan1
        ip netns exec nginx ip route`);
    expect(a.run(`ip netns exec nginx ping -c 1 -W 5 ${gateway}`)).toContain(REPLIED);
    const page = `require("http").createServer((_, answer) => answer.end("nginx")).listen(80, () => console.log("serving"))`;
    const server = a.spawn("ip", ["netns", "exec", "nginx", process.execPath, "-e", page]);
    await server.waitForOutput(/serving/);
    // From the other machine: a macvlan and its own host do not hear each other.
    expect(b.run("curl -s --max-time 5 172.16.20.120")).toBe("nginx");
    for (const [host, local, remote] of [
      [a, "192.168.3.2", "192.168.3.3"],
      [b, "192.168.3.3", "192.168.3.2"],
    ] as const) {
      host.run(`ip link add vxlan50 type vxlan id 50 dstport 4789 remote ${remote} local ${local} dev enp1s0`);
    }
    a.run(`
        ip netns exec nginx ip link delete macvlan1
        ip link set dev vxlan50 netns busybox
        ip netns exec nginx ip link set vxlan50 up
        ip netns exec nginx ip addr add 172.16.20.120/23 dev vxlan50`);
    b.run(`
        ip addr del ${gateway}/23 dev enp1s0
        ip addr add ${gateway}/23 dev vxlan50
        ip link set vxlan50 up`);
    expect(a.run(`ip netns exec nginx ping -c 2 -l 2 -i 5 -W 5 ${gateway}`)).toContain(REPLIED);
    expect(b.run("curl -s --max-time 5 172.16.20.120")).toBe("nginx");
    expect(a.run("ip netns exec busybox ip -d link show vxlan50")).toContain(" vxlan id 50 remote 192.168.3.3 ");
    await server.stop();
    await container.stop();
    a.run("ip netns del nginx; rm /run/netns/busybox; ip netns del aa4fc1e4df42");
    await waitFor(() => a.run("ss -Hulpn sport = 4789") === "", { what: "the end of vxlan50" });
    b.run("ip link delete vxlan50");
  });

  it("host-gw between networks of containers: no tunnel", () => {
    for (const [host, names, own, other, next] of [
      [a, ["container3", "container4"], "10.0.2", "10.0.3", "192.168.3.3"],
      [b, ["container1", "container2"], "10.0.3", "10.0.2", "192.168.3.2"],
    ] as const) {
      // br0 is the name of Docker's network, not of its bridge; the document's iptables lines are comments.
      host.run(`
          sysctl -w net.ipv4.ip_forward=1
          ip link add br-6d1f0b7a2c93 type bridge
          ip addr add ${own}.1/24 dev br-6d1f0b7a2c93
          ip link set br-6d1f0b7a2c93 up
          ip route add ${other}.0/24 via ${next} dev enp1s0 onlink`);
      for (const [index, name] of names.entries()) {
        host.run(`
            ip netns add ${name}
            ip link add veth-${name} type veth peer name eth0 netns ${name}
            ip link set veth-${name} master br-6d1f0b7a2c93 up
            ip -n ${name} addr add ${own}.${index + 2}/24 dev eth0
            ip -n ${name} link set eth0 up
            ip -n ${name} route add default via ${own}.1`);
      }
    }
    expect(b.run("ip netns exec container2 ping -c 2 -l 2 -i 5 -W 5 10.0.2.2")).toContain("ttl=62");
    expect(a.run("ip netns exec container4 ping -c 1 -W 5 10.0.3.2")).toContain("ttl=62");
  });

  it("point-to-point vxlan under a network of containers", () => {
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
    expect(a.run("ip netns exec vxlan-container01 ping -c 2 -l 2 -i 5 -W 5 10.1.3.2")).toContain(REPLIED);
    expect(a.run("bridge fdb show br br-11a085318341")).toMatch(/ dev vxlan2 dst 192\.168\.3\.3 self$/m);
  });

  it("multicast beside it, with a VNI of its own", () => {
    for (const [host, address] of [
      [a, "10.10.1.2/24"],
      [b, "10.10.1.3/24"],
    ] as const) {
      host.run(`
          ip link add vxlan33 type vxlan id 43 dstport 4789 group 239.1.1.1 dev enp1s0
          ip link set dev vxlan33 up
          ip addr add ${address} dev vxlan33`);
    }
    expect(a.run("ping -c 2 -l 2 -i 5 -W 5 10.10.1.3")).toContain(REPLIED);
  });

  it("IPIP between two bridges: the gateway is the outer address", () => {
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
    expect(a.run("ip netns exec ns1 ping -c 2 -l 2 -i 5 -W 5 10.20.3.2")).toContain("ttl=62");
    for (const host of [a, b]) host.run("ip tunnel del tunl1");
  });

  it.each([
    ["GRE", "ip tunnel add t0 mode gre", "-4", "10.30.0"],
    ["GRETAP with a key", "ip link add t0 type gretap key 7", "-4", "10.31.0"],
    ["SIT", "ip tunnel add t0 mode sit ttl 64", "-6", "2001:db8:42:"],
  ])("%s, a heading of the document", (_what, line, family, network) => {
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
    expect(a.run(`ping ${family} -c 2 -l 2 -i 5 -W 5 ${address(3)}`)).toContain(REPLIED);
    for (const host of [a, b]) host.run("ip link del t0");
  });

  it("ISATAP, a heading of the document: the far end is in its address", () => {
    for (const [host, local, address] of [
      [a, "192.168.3.2", "2001:db8:43::5efe:c0a8:302"],
      [b, "192.168.3.3", "2001:db8:43::5efe:c0a8:303"],
    ] as const) {
      host.run(`
          ip tunnel add is0 mode isatap local ${local}
          ip -6 addr add ${address}/64 dev is0
          ip link set is0 up`);
    }
    expect(a.run("ping -6 -c 2 -l 2 -i 5 -W 5 2001:db8:43::5efe:c0a8:303")).toContain(REPLIED);
    b.run("ip -6 addr add 2001:db8:44::1/64 dev lo");
    a.run("ip -6 route add 2001:db8:44::/64 dev is0");
    const behind = "ping -6 -c 1 -W 1 2001:db8:44::1";
    expect(a.exec(behind).status).not.toBe(0);
    // What names no far end goes to the first potential router, whose packets may be of any source.
    a.run("ip tunnel prl prl-default 192.168.3.3 dev is0");
    expect(a.run(behind)).toContain(REPLIED);
    for (const host of [a, b]) host.run("ip tunnel del is0");
  });

  it("VTI, a heading of the document: the keys are in a file, not in the kernel's IPsec", () => {
    const keys = new KeyFolder();
    const [out, back] = [
      { spi: 0x1001, hex: keyHex(1) },
      { spi: 0x1002, hex: keyHex(2) },
    ];
    try {
      for (const [host, local, remote, address, text] of [
        [a, "192.168.3.2", "192.168.3.3", "10.40.0.2/24", keyLines([back], out)],
        [b, "192.168.3.3", "192.168.3.2", "10.40.0.3/24", keyLines([out], back)],
      ] as const) {
        // With a kernel's VTI the line ends before key-file, and `ip xfrm` has the rest.
        host.run(`
            ip link add vti1 type vti remote ${remote} local ${local} key-file ${keys.write(local, text)}
            ip addr add ${address} dev vti1
            ip link set vti1 up`);
      }
      expect(a.run("ping -c 2 -l 2 -i 5 -W 5 10.40.0.3")).toContain(REPLIED);
      expect(a.run("ip tunnel show vti1")).toContain("vti1: ip/ip remote 192.168.3.3 local 192.168.3.2 ");
      for (const host of [a, b]) host.run("ip link del vti1");
    } finally {
      keys.delete();
    }
  });
});
