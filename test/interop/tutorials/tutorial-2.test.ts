/**
 * Tutorial 2: namespaces of one host, GRE, and what is done by hand. The document's pings have no end and its bridges stay
 * down; each other mistake of it has its comment.
 */
import { dirname } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Lab } from "../../support/lab.ts";
import { lan } from "../../support/lan.ts";
import { waitFor } from "../../support/wait-for.ts";
import { TutorialHost } from "./tutorial-host.ts";

const REPLIED = " 0% packet loss";
const LOST = " 100% packet loss";

let lab: Lab;
const hosts: TutorialHost[] = [];

beforeEach(() => {
  lab = Lab.create();
});

afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.stop()));
  await lab.close();
});

const oneHost = async (): Promise<TutorialHost> => {
  const host = await TutorialHost.on(lab.host("a"));
  hosts.push(host);
  return host;
};

const twoHosts = async (): Promise<[TutorialHost, TutorialHost]> => {
  const [left, right] = [lab.host("a"), lab.host("b")];
  lab.wire(left, "eth0", right, "eth0", { addresses: ["10.0.0.1/24", "10.0.0.2/24"] });
  const both = await Promise.all([TutorialHost.on(left), TutorialHost.on(right)]);
  hosts.push(...both);
  return both;
};

describe("tutorial 2", () => {
  it("two VNIs on one port, each with a remote of its own", async () => {
    const [one, two] = [lab.host("one"), lab.host("two")];
    const host = lab.host("a");
    lan(lab, [
      { host, addresses: ["10.0.0.9/24"] },
      { host: one, addresses: ["10.0.0.1/24"] },
      { host: two, addresses: ["10.0.0.2/24"] },
    ]);
    const a = await TutorialHost.on(host);
    hosts.push(a);
    // The far ends, which the document leaves out, are the kernel's; the second one speaks both VNIs.
    for (const [peer, id, address] of [
      [one, 100, "192.168.1.2/24"],
      [two, 200, "192.168.2.2/24"],
      [two, 100, "192.168.2.78/32"],
    ] as const) {
      peer.ip(
        ..."link add".split(" "),
        `vx${id}`,
        ...`type vxlan id ${id} dstport 4789 remote 10.0.0.9 dev eth0`.split(" "),
      );
      peer.address(`vx${id}`, address);
    }
    a.run(`
        ip link add vxlan1 type vxlan id 100 dstport 4789 remote 10.0.0.1 dev eth0
        ip link add vxlan2 type vxlan id 200 dstport 4789 remote 10.0.0.2 dev eth0
        ip a
        ip link set dev vxlan1 up
        ip link set dev vxlan2 up
        ip addr add 192.168.1.1/24 dev vxlan1
        ip addr add 192.168.2.1/24 dev vxlan2`);
    // The document's ping is to an address of the host itself and proves nothing: the others go through the tunnels.
    for (const address of ["192.168.2.1", "192.168.1.2", "192.168.2.2"]) {
      expect(a.run(`ping -c 1 -W 5 ${address}`)).toContain(REPLIED);
    }
    // Whoever asks by VNI 100 for an address of the other network is seen on vxlan1 (or, as a stranger, nowhere).
    one.address("vx100", "192.168.2.77/24");
    for (const [peer, address] of [
      [one, "192.168.2.77"],
      [two, "192.168.2.78"],
    ] as const) {
      expect(peer.exec("ping", `-c 1 -W 1 -I vx100 -I ${address} 192.168.2.1`.split(" ")).status).not.toBe(0);
    }
    expect(a.run("ip neigh show dev vxlan1")).toContain("192.168.2.77 ");
    expect(a.run("ip neigh show dev vxlan2")).toMatch(/^192\.168\.2\.2 /m);
    expect(a.run("ip neigh show dev vxlan2")).not.toMatch(/192\.168\.2\.7[78] lladdr/);
  });

  it("four namespaces with a tunnel of the same name each: who shares a VNI is together", async () => {
    const host = await oneHost();
    host.run("brctl addbr br-test && ip link set br-test up && ip netns list");
    const all = [
      ["a", 100, "192.168.1.1", "10.9.0.1", "10.9.0.2"],
      ["b", 100, "192.168.1.2", "10.9.0.2", "10.9.0.1"],
      ["c", 200, "192.168.2.1", "10.9.0.3", "10.9.0.4"],
      ["d", 200, "192.168.2.2", "10.9.0.4", "10.9.0.3"],
    ] as const;
    for (const [name, id, address, underlay, other] of all) {
      host.run(`
          ip netns add ${name}
          # A new namespace has no eth0: the document forgets the underlay.
          ip link add to-${name} type veth peer name eth0 netns ${name}
          brctl addif br-test to-${name}
          ip link set to-${name} up
          ip netns exec ${name} ip addr add ${underlay}/24 dev eth0
          ip netns exec ${name} ip link set eth0 up
          ip netns exec ${name} ip link add vxlan0 type vxlan id ${id} dev eth0 dstport 4789
          ip netns exec ${name} ip link add br-test type bridge
          ip netns exec ${name} ip link set vxlan0 master br-test
          # The document gives the address to the port and leaves the bridge down.
          ip netns exec ${name} ip addr add ${address}/24 dev br-test
          ip netns exec ${name} ip link set dev br-test up
          ip netns exec ${name} ip link set dev vxlan0 up
          # Neither remote nor group: the document has nobody to flood to.
          ip netns exec ${name} bridge fdb append 00:00:00:00:00:00 dev vxlan0 dst ${other}`);
    }
    expect(host.run("ip netns exec a ping -c 1 -W 5 192.168.1.2")).toContain(REPLIED);
    expect(host.run("ip netns exec d ping -c 1 -W 5 192.168.2.1")).toContain(REPLIED);
    expect(host.exec("ip netns exec a ping -c 1 -W 1 192.168.2.1").status).not.toBe(0);
    expect(host.run("ip -n c -d link show vxlan0")).toContain(" vxlan id 200 local 10.9.0.3 dev eth0 ");
  });

  it("GRE point to point to a network behind the other end", async () => {
    const [a, b] = await twoHosts();
    for (const [host, local, remote, own, network] of [
      [a, "10.0.0.1", "10.0.0.2", "10.7.1.1/24", "10.7.2.0/24"],
      [b, "10.0.0.2", "10.0.0.1", "10.7.2.1/24", "10.7.1.0/24"],
    ] as const) {
      host.run(`
          ip addr add ${own} dev lo
          ip tunnel add gre0 mode gre remote ${remote} local ${local} ttl 255
          ip link set dev gre0 up
          # "via [Local IP]" is refused by the kernel: no gateway is needed.
          ip route add ${network} dev gre0`);
    }
    // The document pings the remote itself, which proves the underlay only.
    expect(a.run("ping -c 1 -W 5 -I 10.7.1.1 10.7.2.1")).toContain(REPLIED);
    expect(a.run("ip -d link show gre0")).toContain("\n    gre remote 10.0.0.2 local 10.0.0.1 ttl 255 ");
    expect(a.run("ip tunnel")).toContain("gre0: gre/ip remote 10.0.0.2 local 10.0.0.1 ttl 255\n");
  });

  it("a multicast tunnel without dstport, moved into a namespace, while its socket stays", async () => {
    const both = await twoHosts();
    for (const [index, host] of both.entries()) {
      const name = `ns${index + 1}`;
      const made = host.exec(`
          ip netns add ${name}
          ip link add vxlan0 type vxlan id 1000 group 239.0.0.1 dev eth0
          # The document gives the address before the move, and sets the device up before it: the move takes both.
          ip link set vxlan0 netns ${name}
          ip netns exec ${name} ip addr add 192.168.1.${index + 1}/24 dev vxlan0
          ip netns exec ${name} ip link set up dev vxlan0`);
      expect([made.status, made.stderr]).toEqual([0, expect.stringContaining("taking 8472 as Linux does")]);
    }
    const [a] = both;
    expect(a.run("ip netns exec ns1 ping -c 2 -l 2 -i 5 -W 5 192.168.1.2")).toContain(REPLIED);
    expect(a.run("ip netns exec ns1 ip -d link show vxlan0")).toContain(" vxlan id 1000 group 239.0.0.1 ");
    expect(a.run("ip -n ns1 link show type vxlan")).toMatch(/^\d+: vxlan0: /);
    expect(a.run("ss -Hulpn sport = 8472")).not.toBe("");
    expect(a.run("ip netns exec ns1 ss -Hulpn")).toBe("");
    // `iptables -A OUTPUT -j DROP`, as iptables-nft has it.
    a.run(`
        ip netns exec ns1 nft add table ip filter
        ip netns exec ns1 nft 'add chain ip filter OUTPUT { type filter hook output priority filter; }'
        ip netns exec ns1 nft add rule ip filter OUTPUT drop`);
    expect(a.exec("ip netns exec ns1 ping -c 1 -W 1 192.168.1.2").stdout).toContain(LOST);
    a.run("ip netns exec ns1 ip link delete vxlan0");
    expect(a.run("ss -Hulpn sport = 8472")).toBe("");
  });

  it("a bridge for each VNI: stations of equal addresses on both do not meet", async () => {
    const both = await twoHosts();
    for (const [index, host] of both.entries()) {
      for (const id of [100, 200]) {
        host.run(`
            ip link add br${id} type bridge
            ip link set br${id} up
            ip link add vxlan${id} type vxlan id ${id} dstport 4789 remote 10.0.0.${2 - index} dev eth0
            ip link set vxlan${id} master br${id} up
            ip netns add on${id}
            ip link add veth${id} type veth peer name eth0 address 02:00:00:00:00:0${index + 1} netns on${id}
            ip link set veth${id} master br${id} up
            ip -n on${id} addr add 192.168.1.${index + 1}/24 dev eth0
            ip -n on${id} link set eth0 up`);
      }
    }
    const [a, b] = both;
    const pings = (id: number): number =>
      a.exec(`ip netns exec on${id} ping -c 2 -l 2 -i 1 -W 1 192.168.1.2`).stdout.includes(REPLIED) ? id : 0;
    expect([pings(100), pings(200)]).toEqual([100, 200]);
    b.run("ip -n on200 link set eth0 down");
    expect([pings(100), pings(200)]).toEqual([100, 0]);
  });

  it("a lab of two namespaces: point to point, then a group, then an entry by hand", async () => {
    const host = await oneHost();
    host.run(`
        ip netns add container1
        ip netns add container2
        ip netns list
        ip link add veth1 type veth peer name veth2
        ip link add veth3 type veth peer name veth4
        ip link set veth2 netns container1
        ip link set veth4 netns container2
        ip netns exec container1 ip addr add 10.1.1.5/24 dev veth2
        ip netns exec container1 ip link set veth2 up
        ip netns exec container1 ip route add default via 10.1.1.1
        ip netns exec container2 ip addr add 10.1.1.7/24 dev veth4
        ip netns exec container2 ip link set veth4 up
        ip netns exec container2 ip route add default via 10.1.1.1
        brctl addbr br-link
        brctl addif br-link veth1
        brctl addif br-link veth3
        ip link set veth1 up
        ip link set veth3 up
        ip addr add 10.1.1.1/24 dev br-link
        ip link set br-link up`);
    const first = host.exec("ip netns exec container1 ip link delete vxlan0");
    expect([first.status, first.stderr]).toEqual([1, expect.stringContaining('Cannot find device "vxlan0"')]);
    const words = [
      ["remote 10.1.1.7 local 10.1.1.5 dev veth2", "remote 10.1.1.5 local 10.1.1.7 dev veth4"],
      ["group 239.1.1.1 dev veth2", "group 239.1.1.1 dev veth4"],
    ] as const;
    for (const ends of words) {
      for (const [n, end] of ends.entries()) {
        host.run(`
            ip netns exec container${n + 1} ip link delete vxlan0 || true
            ip netns exec container${n + 1} ip link add vxlan0 type vxlan id 42 dstport 4789 ${end}
            ip netns exec container${n + 1} ip -d link
            ip netns exec container${n + 1} bridge fdb
            ip netns exec container${n + 1} ip addr add 172.1.1.${n + 2}/24 dev vxlan0
            ip netns exec container${n + 1} ip link set vxlan0 up
            ip netns exec container${n + 1} ip route`);
      }
      expect(host.run("ip netns exec container1 ping -c 2 -l 2 -i 5 -W 5 172.1.1.3")).toContain(REPLIED);
      const far = ends[0].split(" ")[1];
      const fdb = host.run("ip netns exec container1 bridge fdb");
      expect(fdb).toContain(`00:00:00:00:00:00 dev vxlan0 dst ${far} via veth2 self permanent\n`);
      expect(fdb).toMatch(/^[0-9a-f:]{17} dev vxlan0 dst 10\.1\.1\.7 self$/m);
      const link = host.run("ip netns exec container1 ip -d link");
      expect(link).toContain(
        `\n    vxlan id 42 ${ends[0].split(" ", 2).join(" ")} local 10.1.1.5 dev veth2 srcport 0 0 `,
      );
      expect(link).toContain("\n    veth ");
      expect(link).toMatch(/: vxlan0: .* mtu 1450 /);
    }
    host.run(`
        ip netns exec container1 bridge fdb append 52:5e:55:58:9a:ab dev vxlan0 dst 192.168.8.101
        ip netns exec container1 ip neigh add 172.1.1.9 lladdr d6:d9:cd:0a:a4:28 dev vxlan0`);
    expect(host.run("ip netns exec container1 bridge fdb show dev vxlan0")).toContain(
      "52:5e:55:58:9a:ab dst 192.168.8.101 self permanent\n",
    );
    expect(host.exec("ip netns exec container1 ping -c 1 -W 1 172.1.1.9").stdout).toContain(LOST);
    // Who has enough of it deletes the namespaces, and with them goes all that is in them: the tunnels, the daemon that only one
    // of them had, and the other ends of the wires.
    host.run("ip netns del container1 && ip netns del container2");
    const files = (): string => host.run(`ls ${dirname(host.socket)}`);
    await waitFor(() => !host.run("ip -br link").includes("veth") && !/control-\d/.test(files()), {
      what: "the end of the namespaces",
      timeoutMs: 20_000,
    });
    expect(host.run("ip -d link show type vxlan")).toBe("");
  });
});
