/**
 *   left (ov0 10.42.0.1)                               right (vxlan0 10.42.0.2)
 *     vtepd --- eth0 192.0.2.1 / 2001:db8::1 === 192.0.2.2 / 2001:db8::2 --- the kernel's vxlan
 *
 * In virtual mode the kernel hands over superframes of up to 64 KB and unfinished inner checksums, also on a SYN.
 */
import { afterEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { Lab, type WireMode } from "../support/lab.ts";
import { requests } from "../support/requests.ts";
import { transfer } from "../support/transfer.ts";

let lab: Lab;
afterEach(() => lab.close());

const UNDERLAYS = { IPv4: ["192.0.2.1", "192.0.2.2"], IPv6: ["2001:db8::1", "2001:db8::2"] } as const;

const build = async (mode: WireMode, family: keyof typeof UNDERLAYS, kernelOptions: string[] = []) => {
  lab = Lab.create();
  const [left, right] = [lab.host("left"), lab.host("right")];
  const [a, b] = UNDERLAYS[family];
  const prefix = family === "IPv4" ? 24 : 64;
  lab.wire(left, "eth0", right, "eth0", { mode, addresses: [`${a}/${prefix}`, `${b}/${prefix}`] });
  const daemon = await RunningDaemon.start(
    left,
    `{ ov0: { mode: vxlan, id: 42, local: "${a}", remote: "${b}", addresses: [10.42.0.1/24, "fd00:42::1/64"] } }`,
  );
  right.ip(
    "link",
    "add",
    "vxlan0",
    "type",
    "vxlan",
    "id",
    "42",
    "dstport",
    "4789",
    "local",
    b,
    "remote",
    a,
    "dev",
    "eth0",
    ...kernelOptions,
  );
  right.address("vxlan0", "10.42.0.2/24");
  right.address("vxlan0", "fd00:42::2/64");
  return { left, right, daemon };
};

describe.each([
  ["wire-like", "IPv4"],
  ["wire-like", "IPv6"],
  ["virtual", "IPv4"],
  ["virtual", "IPv6"],
] as const)("vtepd and the kernel's vxlan, %s underlay, %s", (mode, family) => {
  it("ping, and carry TCP unchanged both ways over IPv4 and IPv6", async () => {
    const { left, right, daemon } = await build(mode, family);
    expect(left.run("ping", [...requests(3), "10.42.0.2"])).toContain(" 0% packet loss");
    expect(right.run("ping", [...requests(2), "fd00:42::1"])).toContain(" 0% packet loss");
    for (const [from, to, address] of [
      [left, right, "10.42.0.2"],
      [right, left, "10.42.0.1"],
      [left, right, "fd00:42::2"],
      [right, left, "fd00:42::1"],
    ] as const) {
      const { sent, received } = await transfer(from, to, address, 10_000_000);
      expect(received).toBe(sent);
    }
    const mac = right.ipJson("link", "show", "vxlan0")[0].address as string;
    expect(daemon.learned("ov0")).toEqual([`${mac} ${UNDERLAYS[family][1]}`]);
    const learnedByKernel = right.run("bridge", ["fdb", "show", "dev", "vxlan0"]);
    expect(learnedByKernel).toContain(`${left.ipJson("link", "show", "ov0")[0].address} dst ${UNDERLAYS[family][0]}`);
  });
});

describe("vtepd and the kernel's vxlan", () => {
  it("broadcast both ways", async () => {
    const { left, right } = await build("wire-like", "IPv4");
    for (const host of [left, right]) host.sysctl("net.ipv4.icmp_echo_ignore_broadcasts", 0);
    left.ip("addr", "replace", "10.42.0.1/24", "brd", "10.42.0.255", "dev", "ov0");
    right.ip("addr", "replace", "10.42.0.2/24", "brd", "10.42.0.255", "dev", "vxlan0");
    for (const [host, answer] of [
      [left, "10.42.0.2"],
      [right, "10.42.0.1"],
    ] as const) {
      expect(host.run("ping", ["-b", "-c", "2", "-i", "0.2", "-W", "2", "10.42.0.255"])).toContain(`from ${answer}`);
    }
  });

  it("understand each other without outer UDP checksums from the kernel", async () => {
    const { left } = await build("wire-like", "IPv4", ["noudpcsum"]);
    expect(left.run("ping", [...requests(2), "10.42.0.2"])).toContain(" 0% packet loss");
  });

  it("carry large UDP datagrams, cut by IP inside the overlay, in virtual mode", async () => {
    const { left, right } = await build("virtual", "IPv4");
    expect(right.run("ping", [...requests(2), "-s", "20000", "10.42.0.1"])).toContain(" 0% packet loss");
    expect(left.run("ping", [...requests(2), "-s", "20000", "10.42.0.2"])).toContain(" 0% packet loss");
  });
});
