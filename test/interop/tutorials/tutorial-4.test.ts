/** Tutorial 4: flannel's backends by hand, between the pods' namespaces of two machines. vm2 is vm1 with 245 and 246 swapped. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Lab } from "../../support/lab.ts";
import { TutorialHost } from "./tutorial-host.ts";

const REPLIED = " 0% packet loss";
const LOST = " 100% packet loss";

let lab: Lab;
let vm1: TutorialHost;
let vm2: TutorialHost;

/** The lines of vm1 on vm1, and swapped on vm2. */
const onBoth = (lines: string): void => {
  vm1.run(lines);
  vm2.run(lines.replaceAll("245", "X").replaceAll("246", "245").replaceAll("X", "246"));
};

/** The tutorials' pings have no end; ours have. */
const PING = "ip netns exec ns245 ping -c 1 -W 2 172.246.0.2";

beforeAll(async () => {
  lab = Lab.create();
  const [a, b] = [lab.host("a"), lab.host("b")];
  lab.wire(a, "eth0", b, "eth0", { addresses: ["192.168.32.245/24", "192.168.32.246/24"] });
  [vm1, vm2] = await Promise.all([TutorialHost.on(a), TutorialHost.on(b)]);
  onBoth(`
    sysctl -w net.ipv4.ip_forward=1
    ip link add br245 type bridge
    ip link set br245 up
    ip netns add ns245
    ip link add veth245 type veth peer name eth0 netns ns245
    ip netns exec ns245 ip link set eth0 up
    ip link set veth245 up
    ip link set veth245 master br245
    ip addr add 172.245.0.1/24 dev br245
    ip netns exec ns245 ip addr add 172.245.0.2/24 dev eth0
    ip netns exec ns245 ip route add default via 172.245.0.1 dev eth0
    ip addr
    ip route
    ip netns exec ns245 ip addr
    ip netns exec ns245 ip route`);
});

afterAll(async () => {
  await Promise.all([vm1?.stop(), vm2?.stop()]);
  await lab.close();
});

describe("tutorial 4", () => {
  it("host-gw: no tunnel, and no daemon comes for it", () => {
    expect(vm1.run("ip netns exec ns245 ping -c 1 -W 5 172.245.0.1")).toContain(REPLIED);
    onBoth("ip route add 172.246.0.0/24 via 192.168.32.246 dev eth0 onlink");
    expect(vm1.run(PING)).toContain("ttl=62");
    expect(vm1.exec(`test -e ${vm1.socket}`).status).toBe(1);
    // The document goes on with the same prefix; `ip route add` then says "File exists".
    onBoth("ip route del 172.246.0.0/24");
  });

  it("ipip with addresses whose gateways exist nowhere", () => {
    onBoth(`
      ip tunnel add tun245 mode ipip local 192.168.32.245 remote 192.168.32.246
      ip addr add 172.245.1.1/30 dev tun245
      ip link set tun245 up
      ip route add 172.246.0.0/24 via 172.245.1.2 dev tun245`);
    expect(vm2.run("ping -c 1 -W 5 192.168.32.245")).toContain(REPLIED);
    expect(vm2.run("ip netns exec ns246 ping -c 1 -W 5 172.245.0.2")).toContain("ttl=62");
    expect(vm1.run("ip tunnel show")).toContain("tun245: ip/ip remote 192.168.32.246 local 192.168.32.245 ");
    expect(vm1.run("ip link show tun245")).toContain(" mtu 1480 ");
    onBoth("ip tunnel del tun245");
    expect(vm1.exec("ip link show tun245").stderr).toContain('Device "tun245" does not exist.');
  });

  it("vxlan without remote and learning: nothing passes before neighbour and FDB entry are there", () => {
    onBoth(`
      ip link add vtep245 type vxlan id 1 local 192.168.32.245 dev eth0 dstport 8472 nolearning
      ip addr add 172.245.0.0/32 dev vtep245
      ip link set vtep245 mtu 1450
      # The document sets veth245 up once more; it means vtep245, or the route is refused.
      ip link set vtep245 up
      ip route add 172.246.0.0/24 via 172.246.0.0 dev vtep245 onlink`);
    const detail = vm1.run("ip -d link show vtep245");
    expect(detail).toContain(" mtu 1450 ");
    expect(detail).toContain(
      "\n    vxlan id 1 local 192.168.32.245 dev eth0 srcport 0 0 dstport 8472 nolearning ttl auto ageing 300 ",
    );
    expect(vm1.exec(PING).stdout).toContain(LOST);
    expect(vm1.host.exec(process.execPath, ["dist/vtepctl.js", "-socket", vm1.socket, "stats"]).stdout).toMatch(
      /no_tx_target [1-9]/,
    );
    const [mac1, mac2] = [
      vm1.run("cat /sys/class/net/vtep245/address").trim(),
      vm2.run("cat /sys/class/net/vtep246/address").trim(),
    ];
    // `replace` for the document's `add`: the ping that failed has left an entry.
    vm1.run(`ip neigh replace 172.246.0.0 dev vtep245 lladdr ${mac2}`);
    vm2.run(`ip neigh replace 172.245.0.0 dev vtep246 lladdr ${mac1}`);
    expect(vm1.exec(PING).stdout).toContain(LOST);
    vm1.run(`bridge fdb add ${mac2} dev vtep245 dst 192.168.32.246`);
    vm2.run(`bridge fdb add ${mac1} dev vtep246 dst 192.168.32.245`);
    expect(vm1.run(PING)).toContain("ttl=62");
    expect(vm1.run("bridge fdb show dev vtep245")).toContain(`${mac2} dst 192.168.32.246 self permanent\n`);
  });
});
