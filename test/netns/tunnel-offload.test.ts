/**
 *   left (ov0 10.42.0.1)                                            right (ov0 10.42.0.2)
 *     vtepd, tier tunnel -- vtepup0 ~~forwarded~~ eth0 192.0.2.1 === 192.0.2.2 --- the kernel's vxlan, or vtepd
 *
 * The kernel at the other end checks outer and inner checksums of everything.
 */
import { release } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import { addon } from "../../src/binding/addon.ts";
import { type DaemonSettings, RunningDaemon } from "../support/daemon.ts";
import { arpFrame, MAC_A, vxlanDatagram } from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { Lab, type WireMode } from "../support/lab.ts";
import { RawVtep } from "../support/raw-vtep.ts";
import { requests } from "../support/requests.ts";
import { transfer } from "../support/transfer.ts";
import { waitFor } from "../support/wait-for.ts";

const TUNNEL: DaemonSettings = { daemon: "offload: tunnel" };
const LEFT = `{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24, "fd00:42::1/64"] } }`;
const RIGHT = `{ ov0: { mode: vxlan, id: 42, local: 192.0.2.2, remote: 192.0.2.1, addresses: [10.42.0.2/24, "fd00:42::2/64"] } }`;

const [major, minor] = release().split(".").map(Number);
const isOldKernel = major! < 6 || (major === 6 && minor! < 17);

let lab: Lab;
afterEach(() => lab.close());

const hosts = (mode: WireMode): { left: Host; right: Host } => {
  lab = Lab.create();
  const [left, right] = [lab.host("left"), lab.host("right")];
  lab.wire(left, "eth0", right, "eth0", { mode, addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  return { left, right };
};

const kernelVxlan = (host: Host): void => {
  const options = "id 42 dstport 4789 local 192.0.2.2 remote 192.0.2.1 dev eth0 udpcsum".split(" ");
  host.ip("link", "add", "ov0", "type", "vxlan", ...options);
  host.address("ov0", "10.42.0.2/24");
  host.address("ov0", "fd00:42::2/64");
};

const linksOf = (host: Host): string[] => host.ipJson("link", "show").map(({ ifname }: { ifname: string }) => ifname);
const sysctl = (host: Host, key: string): string => host.run("cat", [`/proc/sys/net/${key}`]).trim();

const receiversOf = (daemon: RunningDaemon): string[] =>
  daemon.json<{ vtepd: { receive: string } }[]>("-d", "link", "show").map(({ vtepd }) => vtepd.receive);

const tiersOf = (daemon: RunningDaemon): string[] =>
  daemon.json<{ vtepd: { offload: string } }[]>("-d", "link", "show").map(({ vtepd }) => vtepd.offload);

/** Checksum errors that the host's kernel has counted, by name. */
const checksumErrors = (host: Host): Record<string, number> => {
  const { kernel } = JSON.parse(host.run("nstat", ["-asj"])) as { kernel: Record<string, number> };
  return Object.fromEntries(Object.entries(kernel).filter(([name, count]) => /Csum|TcpInErrs/.test(name) && count > 0));
};

const carries = async (left: Host, right: Host): Promise<void> => {
  // Odd lengths too: checksums go by pairs of bytes.
  for (const [host, address, size] of [
    [left, "10.42.0.2", "56"],
    [left, "10.42.0.2", "101"],
    [right, "fd00:42::1", "333"],
  ] as const) {
    expect(host.run("ping", [...requests(2), "-s", size, address])).toContain(" 0% packet loss");
  }
  left.run("ping", ["-c", "1", "-W", "5", "-M", "do", "-s", "1422", "10.42.0.2"]);
  // Cut by IP inside the overlay.
  left.run("ping", ["-c", "1", "-W", "5", "-s", "20000", "10.42.0.2"]);
  for (const [from, to, address] of [
    [left, right, "10.42.0.2"],
    [right, left, "10.42.0.1"],
    [left, right, "fd00:42::2"],
    [right, left, "fd00:42::1"],
  ] as const) {
    const { sent, received } = await transfer(from, to, address, 20_000_000);
    expect(received).toBe(sent);
  }
  for (const host of [left, right]) expect(checksumErrors(host)).toEqual({});
};

describe.skipIf(isOldKernel)("vtepd in tier tunnel", () => {
  it.each(["wire-like", "virtual"] as const)(
    "and the kernel's vxlan carry TCP unchanged, %s underlay",
    async (mode) => {
      const { left, right } = hosts(mode);
      kernelVxlan(right);
      const daemon = await RunningDaemon.start(left, LEFT, TUNNEL);
      await carries(left, right);
      expect(left.ipJson("-s", "link", "show", "vtepup0")[0].stats64.rx.bytes).toBeGreaterThan(40_000_000);
      expect([daemon.drops("encap"), daemon.drops("decap"), daemon.drops("socket")]).toEqual([{}, {}, {}]);
      expect(tiersOf(daemon)).toEqual(["tunnel"]);
    },
  );

  it.each([
    ["tier tunnel", TUNNEL, 1],
    ["tier socket", { daemon: "offload: socket" }, 1],
    ["tier tunnel and three workers", TUNNEL, 3],
  ] as const)("and another in %s carry TCP unchanged", async (_what, settings, workers) => {
    const { left, right } = hosts("wire-like");
    const daemons = [
      await RunningDaemon.start(left, LEFT, { ...TUNNEL, workers }),
      await RunningDaemon.start(right, RIGHT, { ...settings, workers }),
    ];
    await carries(left, right);
    for (const daemon of daemons) expect([daemon.drops("encap"), daemon.drops("decap")]).toEqual([{}, {}]);
  });

  it("sends each flow from a port of its own, above 49151, with DF clear and TTL 64", async () => {
    const { left, right } = hosts("wire-like");
    kernelVxlan(right);
    await RunningDaemon.start(left, LEFT, TUNNEL);
    const capture = right.spawn("tcpdump", ["-nnvlt", "-i", "eth0", "-c", "8", "udp dst port 4789 and src 192.0.2.1"]);
    await capture.waitForOutput(/listening/);
    // Echo requests have no ports: flows differ by address.
    for (const address of ["10.42.0.2", "10.42.0.66", "10.42.0.67", "10.42.0.68"]) {
      left.ip("neigh", "replace", address, "lladdr", right.ipJson("link", "show", "ov0")[0].address, "dev", "ov0");
      left.exec("ping", ["-c", "2", "-i", "0.1", "-W", "0.1", address]);
    }
    await waitFor(() => [...capture.stdout.matchAll(/192\.0\.2\.1\.\d+ >/g)].length === 8, { what: "8 packets" });
    const ports = [...capture.stdout.matchAll(/192\.0\.2\.1\.(\d+) >/g)].map(([, port]) => Number(port));
    expect(Math.min(...ports)).toBeGreaterThan(49_151);
    expect(new Set(ports).size).toBeGreaterThanOrEqual(4);
    expect([...capture.stdout.matchAll(/ttl 64, .* flags \[none\], proto UDP/g)]).toHaveLength(8);
    const ids = [...capture.stdout.matchAll(/ttl 64, id (\d+), .* flags \[none\], proto UDP/g)].map(([, id]) =>
      Number(id),
    );
    expect(new Set(ids).size).toBe(8);
  });

  it("changes nothing of the host but its own device, and takes that away", async () => {
    const { left, right } = hosts("wire-like");
    kernelVxlan(right);
    const before = left.run("sysctl", ["-a", "--pattern", "^net\\.ipv4\\.(ip_forward|conf\\.(all|default|eth0))"]);
    const daemon = await RunningDaemon.start(left, LEFT, TUNNEL);
    expect(sysctl(left, "ipv4/ip_forward")).toBe("0");
    for (const [key, value] of [
      ["forwarding", "1"],
      ["accept_local", "1"],
      ["rp_filter", "0"],
    ] as const) {
      expect(sysctl(left, `ipv4/conf/vtepup0/${key}`)).toBe(value);
    }
    expect(left.run("ping", ["-c", "1", "-W", "5", "10.42.0.2"])).toContain(" 0% packet loss");
    await daemon.stop();
    expect(linksOf(left)).toEqual(["lo", "eth0"]);
    expect(left.run("sysctl", ["-a", "--pattern", "^net\\.ipv4\\.(ip_forward|conf\\.(all|default|eth0))"])).toBe(
      before,
    );
  });

  it("makes a deleted uplink again", async () => {
    const { left, right } = hosts("wire-like");
    kernelVxlan(right);
    const daemon = await RunningDaemon.start(left, LEFT, TUNNEL);
    left.ip("link", "delete", "vtepup0");
    left.exec("ping", ["-c", "1", "-W", "0.2", "10.42.0.2"]);
    await daemon.child.waitForOutput(/uplink was deleted/);
    await waitFor(() => left.exec("ping", ["-c", "1", "-W", "0.2", "10.42.0.2"]).status === 0, { what: "an answer" });
    expect(linksOf(left)).toContain("vtepup0");
  });

  it("sends through sockets where the underlay is IPv6 or the tunnel has a link", async () => {
    const { left } = hosts("wire-like");
    left.address("eth0", "2001:db8::1/64");
    const daemon = await RunningDaemon.start(
      left,
      `{ ov0: { mode: vxlan, id: 42, local: "2001:db8::1", remote: "2001:db8::2" },
         ov1: { mode: vxlan, id: 43, local: 192.0.2.1, remote: 192.0.2.2, link: eth0 } }`,
      TUNNEL,
    );
    expect(linksOf(left).filter((name) => name.startsWith("vtepup"))).toEqual([]);
    expect(tiersOf(daemon)).toEqual(["socket", "socket"]);
    expect(receiversOf(daemon)).toEqual(["socket", "packet"]);
  });
});

describe.skipIf(isOldKernel)("vtepd in tier tunnel receives through packet sockets:", () => {
  it("superframes that the kernel has merged, one frame each", async () => {
    const { left, right } = hosts("wire-like");
    kernelVxlan(right);
    const daemon = await RunningDaemon.start(left, LEFT, TUNNEL);
    expect(receiversOf(daemon)).toEqual(["packet"]);
    expect(daemon.vtepctl("-d", "link", "show").stdout).toContain("offload tunnel receive packet");
    await transfer(right, left, "10.42.0.1", 50_000_000);
    const { rx } = daemon.json<{ stats64: { rx: { packets: number } } }[]>("-s", "link", "show")[0]!.stats64;
    const { workers } = daemon.json<{ workers: { frames: number }[] }>("status");
    // Both directions and all; a frame each would be more than 35 000.
    expect(rx.packets).toBeGreaterThan(35_000);
    expect(workers.reduce((sum, { frames }) => sum + frames, 0)).toBeLessThan(rx.packets / 2);
  });

  it("in several tunnels and addresses on one port, and leaves nothing behind", async () => {
    const { left, right } = hosts("wire-like");
    left.address("eth0", "192.0.2.3/24");
    kernelVxlan(right);
    const other = "id 43 dstport 4789 local 192.0.2.2 remote 192.0.2.3 dev eth0".split(" ");
    right.ip("link", "add", "ov1", "type", "vxlan", ...other);
    right.address("ov1", "10.43.0.2/24");
    const daemon = await RunningDaemon.start(
      left,
      `{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24] },
         ov1: { mode: vxlan, id: 43, local: 192.0.2.3, remote: 192.0.2.2, addresses: [10.43.0.1/24], link: eth0 } }`,
      TUNNEL,
    );
    expect(receiversOf(daemon)).toEqual(["packet", "packet"]);
    for (const address of ["10.42.0.2", "10.43.0.2"]) {
      expect(left.run("ping", [...requests(2), address])).toContain(" 0% packet loss");
    }
    expect(linksOf(left)).toContain("vtepgro4789");
    await daemon.stop();
    expect(linksOf(left)).toEqual(["lo", "eth0"]);
  });

  it("after a daemon that was killed, too, whose device is taken away", async () => {
    const { left, right } = hosts("wire-like");
    kernelVxlan(right);
    const killed = await RunningDaemon.start(left, LEFT, TUNNEL);
    killed.child.signal("SIGKILL");
    await killed.child.exited;
    expect(linksOf(left)).toContain("vtepgro4789");
    // In another tier the device would only be in the way.
    const socket = await RunningDaemon.start(left, LEFT, { daemon: "offload: socket" });
    expect(linksOf(left)).not.toContain("vtepgro4789");
    expect(left.run("ping", ["-c", "1", "-W", "5", "10.42.0.2"])).toContain(" 0% packet loss");
    await socket.stop();
  });

  it("but through sockets where the kernel makes no vxlan device, and says why", async () => {
    const { left, right } = hosts("wire-like");
    kernelVxlan(right);
    left.ip("link", "add", "vtepgro4789", "type", "veth", "peer", "name", "other");
    const daemon = await RunningDaemon.start(left, LEFT, TUNNEL);
    expect(receiversOf(daemon)).toEqual(["socket"]);
    expect(daemon.child.stdout).toMatch(/File exists","msg":"no receive offload in tier tunnel/);
    expect(left.run("ping", ["-c", "1", "-W", "5", "10.42.0.2"])).toContain(" 0% packet loss");
  });

  it("and counts wrong outer checksums, which no UDP socket would see", async () => {
    const { left, right } = hosts("wire-like");
    const daemon = await RunningDaemon.start(left, LEFT, TUNNEL);
    const remote = await RawVtep.start(right, { address: "192.0.2.2" });
    const frame = arpFrame({ operation: "request", senderMac: MAC_A, senderIp: "10.42.0.9", targetIp: "10.42.0.1" });
    const received = (): number => daemon.stats().links[0]!.rx.packets;
    remote.send("192.0.2.1", vxlanDatagram(42, frame));
    await waitFor(() => received() === 1, { what: "a datagram with a right checksum" });
    right.run("nft", [
      "add table ip t; add chain ip t o { type filter hook output priority 0; }; add rule ip t o udp dport 4789 udp checksum set 0xbeef",
    ]);
    for (let n = 0; n < 3; n++) remote.send("192.0.2.1", vxlanDatagram(42, frame));
    await waitFor(() => daemon.drops("socket")["udp_csum"] === 3, { what: "three drops" });
    expect(received()).toBe(1);
  });

  it("fragments of outer packets, put together", async () => {
    const { left, right } = hosts("wire-like");
    const options = "id 42 dstport 4789 local 192.0.2.2 remote 192.0.2.1 udpcsum".split(" ");
    right.ip("link", "add", "ov0", "mtu", "3000", "type", "vxlan", ...options);
    right.address("ov0", "10.42.0.2/24");
    const daemon = await RunningDaemon.start(
      left,
      `{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, mtu: 3000, addresses: [10.42.0.1/24] } }`,
      TUNNEL,
    );
    expect(right.run("ping", [...requests(2), "-s", "2900", "10.42.0.1"])).toContain(" 0% packet loss");
    expect(daemon.drops("socket")).toEqual({});
  });
});

describe("vtepd in tier tunnel refuses to start:", () => {
  const refused = async (left: Host): Promise<string> => {
    const daemon = RunningDaemon.launch(left, LEFT, TUNNEL);
    expect(await daemon.child.exited).toMatchObject({ code: 2 });
    expect(daemon.child.stderr).toContain("ERR_TUNNEL_OFFLOAD: ");
    expect(linksOf(left)).toEqual(["lo", "eth0"]);
    return daemon.child.stderr;
  };

  // Where the kernel can, chooseOffload is tested with the probe's answer instead (test/daemon/offload.test.ts).
  if (isOldKernel) {
    it("a kernel without tunnel segmentation", async () => {
      expect(addon.probeTap().tunnel).not.toBe("");
      expect(await refused(hosts("wire-like").left)).toContain("Linux 6.17");
    });
  }

  it.skipIf(isOldKernel)("a host-wide reverse path filter", async () => {
    const { left } = hosts("wire-like");
    left.sysctl("net.ipv4.conf.all.rp_filter", 2);
    expect(await refused(left)).toContain("sysctl net.ipv4.conf.all.rp_filter=0");
  });

  it.skipIf(isOldKernel)(
    "a packet filter that drops what is forwarded, until a rule accepts from the uplink",
    async () => {
      const { left, right } = hosts("wire-like");
      kernelVxlan(right);
      left.run("nft", [
        "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }",
      ]);
      const said = await refused(left);
      const cure = /`(nft insert rule [^`]*)`/.exec(said)![1]!;
      expect(cure).toBe('nft insert rule ip filter FORWARD iifname "vtepup*" accept');
      left.run("sh", ["-c", cure.replace(/"/g, '\\"')]);
      await RunningDaemon.start(left, LEFT, TUNNEL);
      expect(left.run("ping", ["-c", "1", "-W", "5", "10.42.0.2"])).toContain(" 0% packet loss");
    },
  );

  it.skipIf(isOldKernel)("kernel parameters that cannot be written", async () => {
    const { left } = hosts("wire-like");
    const file = left.run("mktemp", []).trim();
    left.run("tee", [file], {
      input: `version: 1\ndaemon: { control: { socket: ${file}.sock }, offload: tunnel }\ntunnels: ${LEFT}\n`,
    });
    const vtepd = `${process.execPath} dist/vtepd.js --config ${file}`;
    const { status, stderr } = left.exec("unshare", [
      "-m",
      "sh",
      "-c",
      `mount -o bind,ro /proc/sys /proc/sys && ${vtepd}`,
    ]);
    left.run("rm", [file]);
    expect(stderr).toContain("ERR_TUNNEL_OFFLOAD: ");
    expect(stderr).toContain("ipv4/conf/vtepup0/forwarding");
    expect(status).toBe(2);
    expect(linksOf(left)).toEqual(["lo", "eth0"]);
  });
});
