/** Tutorial 1: two hosts, point to point, by a multicast group, and with containers on bridges. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
  lab.wire(left, "enp1s0", right, "enp1s0", { addresses: ["192.168.50.233/24", "192.168.50.29/24"] });
  [a, b] = await Promise.all([TutorialHost.on(left), TutorialHost.on(right)]);
});

afterAll(async () => {
  await Promise.all([a?.stop(), b?.stop()]);
  await lab.close();
});

describe("tutorial 1", () => {
  it("point to point: the source address comes from the route", () => {
    a.run(`
      ip link add vxlan0 type vxlan id 120 dstport 4789 remote 192.168.50.29 dev enp1s0
      ip addr add 10.16.0.2/24 dev vxlan0
      ip link set vxlan0 up`);
    b.run(`
      ip link add vxlan0 type vxlan id 120 dstport 4789 remote 192.168.50.233 dev enp1s0
      ip addr add 10.16.0.3/24 dev vxlan0
      ip link set vxlan0 up`);
    expect(a.run("ping -c 2 -l 2 -i 5 -W 5 10.16.0.3")).toContain(REPLIED);
    expect(a.run("ip addr")).toMatch(/vxlan0: .* mtu 1450 /);
    expect(a.run("route -n")).toMatch(/^10\.16\.0\.0 .* vxlan0$/m);
  });

  it("point to point: a capture of the underlay has the frames whole", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tutorial-1-"));
    try {
      const file = join(folder, "vxlan.pcap");
      // The document ends it by hand: here after six packets, and each is written when it comes. Root may write where we are.
      const words = `-i enp1s0 host 192.168.50.29 -s0 -v -w ${file} -c 6 --immediate-mode -Z root`;
      const capture = a.spawn("tcpdump", words.split(" "));
      await capture.waitForOutput(/listening on enp1s0/);
      a.run("ping -c 4 -i 0.2 -W 5 10.16.0.3");
      await capture.exited;
      const inside = a.run(`tcpdump -nr ${file} udp port 4789`);
      expect(inside).toMatch(
        /VXLAN, flags \[I\] \(0x08\), vni 120\n.* 10\.16\.0\.2 > 10\.16\.0\.3: ICMP echo request, .* length 64$/m,
      );
      expect(inside).toMatch(/ 10\.16\.0\.3 > 10\.16\.0\.2: ICMP echo reply, /);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("multicast: the group until the remote VTEP is known, by the lines of both hosts", () => {
    for (const [host, address] of [
      [a, "10.16.0.2/24"],
      [b, "10.16.0.3/24"], // the document's second block is labelled "host A", too
    ] as const) {
      host.run(`
        ip link delete vxlan0
        ip link add vxlan0 type vxlan id 120 dstport 4789 group 229.1.1.1 dev enp1s0
        ip addr add ${address} dev vxlan0
        ip link set vxlan0 up`);
    }
    expect(a.run("ping -c 2 -l 2 -i 5 -W 5 10.16.0.3")).toContain(REPLIED);
    const fdb = a.run("bridge fdb show dev vxlan0");
    expect(fdb).toContain("00:00:00:00:00:00 dst 229.1.1.1 via enp1s0 self permanent\n");
    expect(fdb).toContain(" dst 192.168.50.29 self\n");
  });

  it("containers on two hosts through a bridge of each", async () => {
    for (const [host, address] of [
      [a, "10.17.0.8"],
      [b, "10.17.0.9"],
    ] as const) {
      // A namespace with a veth into a bridge is what `docker network create` and `docker run` come to.
      host.run(`
        ip link delete vxlan0
        ip link add br-e4c356e71cd0 type bridge
        ip link set br-e4c356e71cd0 up
        ip netns add ngx1
        ip link add veth0 type veth peer name eth0 netns ngx1
        ip link set veth0 master br-e4c356e71cd0 up
        ip -n ngx1 addr add ${address}/24 dev eth0
        ip -n ngx1 link set eth0 up
        brctl show
        ip link add vxlan0 type vxlan id 120 dstport 4789 group 229.1.1.1 dev enp1s0
        brctl addif br-e4c356e71cd0 vxlan0
        ip link set vxlan0 up`);
    }
    expect(a.run("brctl show")).toMatch(/^br-e4c356e71cd0\t\t8000\.[0-9a-f]{12}\tno\t\tveth0\n\t+vxlan0\n$/m);
    const page = `require("http").createServer((_, answer) => answer.end("ngx2")).listen(80, "10.17.0.9", () => console.log("serving"))`;
    const server = b.spawn("ip", ["netns", "exec", "ngx1", process.execPath, "-e", page]);
    await server.waitForOutput(/serving/);
    await waitFor(() => a.exec("ip netns exec ngx1 curl -s --max-time 2 10.17.0.9").stdout === "ngx2", {
      what: "the page of the other host",
    });
    await server.stop();
  });
});
