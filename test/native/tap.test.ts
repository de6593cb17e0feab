import { spawnSync } from "node:child_process";
import { readdirSync, readlinkSync, statSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addon, type TapOptions } from "../../src/binding/addon.ts";
import { ADDON_FILE } from "./addon-file.ts";
import { mac } from "./frame-bytes.ts";
import { IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

let netns: Netns;
let rig: IoRig;
beforeEach(() => {
  netns = new Netns();
  rig = new IoRig();
});
afterEach(() => {
  rig.close();
  netns.delete();
});

const options = (): TapOptions => ({
  name: "vx42",
  kind: "tap",
  queues: 1,
  vnetHeader: true,
  up: true,
  netns: netns.path,
});

interface Link {
  ifname: string;
  ifindex: number;
  mtu: number;
  txqlen: number;
  address?: string;
  flags: string[];
  qdisc: string;
  num_tx_queues: number;
  linkinfo?: { info_data: { type: string; vnet_hdr: boolean; multi_queue: boolean } };
}
const links = (): Link[] => JSON.parse(netns.ip("-j -d link show")) as Link[];
const link = (name: string): Link | undefined => links().find(({ ifname }) => ifname === name);

describe("openTap", () => {
  it("makes the device in the namespace, as asked for", () => {
    const tap = rig.openTap({
      ...options(),
      macAddress: Uint8Array.from(mac(0x42)),
      mtu: 1450,
      txQueueLength: 4096,
    });
    expect(tap.fds).toHaveLength(1);
    expect(link("vx42")).toMatchObject({
      ifindex: tap.ifindex,
      mtu: 1450,
      txqlen: 4096,
      address: "02:00:00:00:00:42",
      flags: expect.arrayContaining(["UP", "BROADCAST"]),
      linkinfo: { info_data: { type: "tap", vnet_hdr: true, multi_queue: false } },
    });
  });

  it("leaves the device down, the kernel's defaults and no vnet header when nothing else is asked for", () => {
    rig.openTap({ ...options(), up: false, vnetHeader: false });
    const device = link("vx42");
    expect(device).toMatchObject({ mtu: 1500, txqlen: 1000, linkinfo: { info_data: { vnet_hdr: false } } });
    expect(device?.flags).not.toContain("UP");
  });

  it("opens a descriptor for each queue", () => {
    const tap = rig.openTap({ ...options(), queues: 4 });
    expect(new Set(tap.fds).size).toBe(4);
    expect(link("vx42")?.linkinfo?.info_data.multi_queue).toBe(true);
    expect(netns.ip("-d tuntap show").match(/vx42/g)).toHaveLength(1);
  });

  it.each(["in the namespace", "here"])(
    "makes devices without a queueing discipline %s, which 256 queues would have",
    (where) => {
      const name = `vx${process.pid}`;
      const here = where === "here";
      rig.openTap({
        ...options(),
        name,
        queues: 4,
        txQueueLength: 4096,
        ...(here ? { netns: "/proc/self/ns/net" } : {}),
      });
      const shown = here
        ? spawnSync("ip", ["-j", "link", "show", "dev", name], { encoding: "utf8" }).stdout
        : netns.ip(`-j link show dev ${name}`);
      expect((JSON.parse(shown) as Link[])[0]?.qdisc).toBe("noqueue");
    },
  );

  it("makes a TUN device", () => {
    rig.openTap({ ...options(), kind: "tun" });
    expect(link("vx42")?.linkinfo?.info_data.type).toBe("tun");
  });

  it("removes the device with its last descriptor", () => {
    const tap = addon.openTap({ ...options(), queues: 2 });
    addon.closeFd(tap.fds[0]!);
    expect(link("vx42")).toBeDefined();
    addon.closeFd(tap.fds[1]!);
    expect(link("vx42")).toBeUndefined();
  });

  it("refuses a name that exists in the namespace, whatever has it", () => {
    rig.openTap({ ...options(), queues: 2 });
    netns.ip("link add other type bridge");
    for (const name of ["vx42", "other"]) {
      expect(() => addon.openTap({ ...options(), name, queues: 2 })).toThrow(
        expect.objectContaining({
          code: "EEXIST",
          errno: 17,
          syscall: "netlink(RTM_NEWLINK)",
          message: `netlink(RTM_NEWLINK) ${name}: EEXIST File exists`,
        }),
      );
    }
    expect(links()).toHaveLength(3);
  });

  it("refuses a name that exists here", () => {
    const name = `vx${process.pid}`;
    const here = { name, netns: "/proc/self/ns/net", up: false };
    rig.openTap(here);
    expect(() => addon.openTap({ ...options(), ...here })).toThrow(
      expect.objectContaining({
        code: "EBUSY",
        errno: 16,
        syscall: "ioctl(TUNSETIFF)",
        message: `ioctl(TUNSETIFF) ${name}: EBUSY Device or resource busy`,
      }),
    );
  });

  it("takes a name that is in use here for a device of another namespace", () => {
    rig.openTap({ name: "vx42", up: false });
    expect(rig.openTap(options()).fds).toHaveLength(1);
  });

  const failures: [string, Partial<TapOptions>, string, string][] = [
    ["an MTU out of range", { mtu: 67 }, "EINVAL", "ioctl(SIOCSIFMTU)"],
    ["a group MAC address", { macAddress: Uint8Array.of(1, 0, 0, 0, 0, 1) }, "EADDRNOTAVAIL", "ioctl(SIOCSIFHWADDR)"],
  ];
  it.each(failures)("leaves nothing behind when it fails on %s", (_, fields, code, syscall) => {
    const before = readdirSync("/proc/self/fd").length;
    expect(() => addon.openTap({ ...options(), ...fields })).toThrow(expect.objectContaining({ code, syscall }));
    expect(links().map(({ ifname }) => ifname)).toEqual(["lo"]);
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });

  it("says which namespace it did not find", () => {
    expect(() => addon.openTap({ ...options(), netns: "/run/netns/none" })).toThrow(
      expect.objectContaining({ code: "ENOENT", message: "open(/run/netns/none): ENOENT No such file or directory" }),
    );
    expect(() => addon.openTap({ ...options(), netns: "/dev/null" })).toThrow(
      expect.objectContaining({ code: "EINVAL", syscall: "netlink(RTM_NEWLINK)" }),
    );
  });

  it("comes back from the namespace, also after a failure there", () => {
    const own = readlinkSync("/proc/thread-self/ns/net");
    rig.openTap(options());
    expect(readlinkSync("/proc/thread-self/ns/net")).toBe(own);
    expect(() => rig.openUdp([198, 51, 100, 1], { netns: netns.path })).toThrow(
      expect.objectContaining({ code: "EADDRNOTAVAIL", syscall: "bind" }),
    );
    expect(readlinkSync("/proc/thread-self/ns/net")).toBe(own);
  });

  it("says that /dev/net/tun is missing", () => {
    const program = `
      try { require(${JSON.stringify(ADDON_FILE)}).openTap(
        { name: "vx42", kind: "tap", queues: 1, vnetHeader: true, up: true }) }
      catch (error) { console.log(error.code, error.syscall) }`;
    const { stdout } = spawnSync(
      "unshare",
      ["--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$0" -e "$1"', process.execPath, program],
      { encoding: "utf8" },
    );
    expect(stdout).toBe("ENOENT open(/dev/net/tun)\n");
  });
});

describe("setTapMtu", () => {
  it("sets the MTU where the device is, whatever its name", () => {
    const other = new Netns();
    try {
      const fd = rig.openTap(options()).fds[0]!;
      addon.setTapMtu(fd, 1300);
      expect(addon.tapInfo(fd).mtu).toBe(1300);
      netns.ip(`link set vx42 netns ${other.name} name renamed`);
      addon.setTapMtu(fd, 1200);
      expect((JSON.parse(other.ip("-j link show renamed")) as Link[])[0]?.mtu).toBe(1200);
      expect(() => addon.setTapMtu(fd, 10)).toThrow(expect.objectContaining({ syscall: "ioctl(SIOCSIFMTU)" }));
    } finally {
      other.delete();
    }
  });
});

describe("tapInfo", () => {
  it("describes the device as it is now: renamed, re-addressed, taken down", () => {
    const tap = rig.openTap({ ...options(), macAddress: Uint8Array.from(mac(1)), mtu: 1450 });
    const fd = tap.fds[0]!;
    expect(addon.tapInfo(fd)).toEqual({
      name: "vx42",
      ifindex: tap.ifindex,
      mtu: 1450,
      up: true,
      macAddress: Uint8Array.from(mac(1)),
      netnsInode: expect.any(Number),
    });
    netns.ip("link set vx42 down");
    netns.ip("link set vx42 name renamed mtu 1400 address 02:00:00:00:00:02");
    expect(addon.tapInfo(fd)).toEqual({
      name: "renamed",
      ifindex: tap.ifindex,
      mtu: 1400,
      up: false,
      macAddress: Uint8Array.from(mac(2)),
      netnsInode: expect.any(Number),
    });
  });

  it("follows the device to another namespace", () => {
    const other = new Netns();
    try {
      const fd = rig.openTap(options()).fds[0]!;
      netns.ip(`link set vx42 netns ${other.name} mtu 1300`);
      const [moved] = JSON.parse(other.ip("-j link show vx42")) as Link[];
      expect(addon.tapInfo(fd).netnsInode).toBe(statSync(`/run/netns/${other.name}`).ino);
      expect(addon.tapInfo(fd)).toMatchObject({ name: "vx42", ifindex: moved?.ifindex, mtu: moved?.mtu });
    } finally {
      other.delete();
    }
  });

  it("knows a device of the own namespace", () => {
    const name = `vx${process.pid}`;
    const tap = rig.openTap({ name, up: false });
    expect(addon.tapInfo(tap.fds[0]!)).toMatchObject({ name, ifindex: tap.ifindex, up: false });
  });

  it("throws EBADFD when the device is gone", () => {
    const fd = rig.openTap(options()).fds[0]!;
    netns.ip("link delete vx42");
    expect(() => addon.tapInfo(fd)).toThrow(
      expect.objectContaining({ code: "EBADFD", errno: 77, syscall: "ioctl(TUNGETIFF)" }),
    );
  });
});
