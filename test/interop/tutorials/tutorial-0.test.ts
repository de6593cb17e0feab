/** Tutorial 0 without its VRF: a tunnel moved into a container that runs already, beside the container's own network and alone. */
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
  lab.wire(left, "eth0", right, "eth0", { addresses: ["10.0.0.250/24", "10.0.0.251/24"] });
  [a, b] = await Promise.all([TutorialHost.on(left), TutorialHost.on(right)]);
  b.run(`
    ip link add vxlan0 type vxlan id 40 dstport 4789 remote 10.0.0.250 local 10.0.0.251 dev eth0
    ip addr add 172.18.1.3/24 dev vxlan0
    ip link set vxlan0 up
    ip addr add 192.168.0.10/24 dev vxlan0`);
});

afterAll(async () => {
  await Promise.all([a?.stop(), b?.stop()]);
  await lab.close();
});

/** The network that Docker gives a container, when it is asked for none: a bridge, and a default route to it. */
const bridged = (pid: number): string => `
  ip link add docker0 type bridge
  ip addr add 172.17.0.1/16 dev docker0
  ip link set docker0 up
  ip link add veth0 type veth peer name eth0 netns ${pid}
  ip link set veth0 master docker0 up
  ip netns exec ${pid} ip addr add 172.17.0.2/16 dev eth0
  ip netns exec ${pid} ip link set eth0 up
  ip netns exec ${pid} ip route add default via 172.17.0.1`;

describe("tutorial 0", () => {
  it.each([
    ["with a network of Docker's", bridged, ["eth0", "lo", "vxlan0"]],
    ["with the tunnel only", () => "", ["lo", "vxlan0"]],
  ])("a container %s", async (_what, network, devices) => {
    const container = await a.container();
    const pid = container.pid;
    // Without `sudo`, whose PATH has no wrappers.
    a.run(`
        mkdir -p /var/run/netns
        ln -s /proc/${pid}/ns/net /var/run/netns/${pid}
        ${network(pid)}
        ip link add vxlan0 type vxlan id 40 dstport 4789 remote 10.0.0.251 local 10.0.0.250 dev eth0
        ip link set vxlan0 up
        ip link set vxlan0 netns ${pid}
        ip netns exec ${pid} ip addr add 172.18.1.2/24 dev vxlan0
        # Not in the document: the move has set it down, and a route would find no network.
        ip netns exec ${pid} ip link set vxlan0 up
        ip netns exec ${pid} route add default dev vxlan0`);
    const inside = (words: string): string => a.run(`ip netns exec ${pid} ${words}`);
    expect(inside("ping -c 2 -l 2 -i 5 -W 5 172.18.1.3")).toContain(REPLIED);
    // Before the default route that was there.
    expect(inside("ping -c 1 -W 5 192.168.0.10")).toContain(REPLIED);
    expect(inside("ls /sys/class/net").split("\n").filter(Boolean)).toEqual(devices);
    expect(a.run("ss -Hulpn sport = 4789")).not.toBe("");
    // The container's end takes the device along, and the daemon forgets what no file asked for.
    await container.stop();
    a.run(`rm /var/run/netns/${pid}`);
    await waitFor(() => a.run("ss -Hulpn sport = 4789") === "", { what: "the end of vxlan0" });
    expect(a.run("ip link show type vxlan")).toBe("");
  });
});
