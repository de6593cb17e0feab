/** `link add|set|del` and `tunnel` in iproute2's words: the settings that they come to, and what they refuse. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Executed } from "../../src/cli/io.ts";
import { run } from "../../src/cli/vtepctl.ts";
import { type CapturedIo, captureIo } from "../support/capture-io.ts";
import { FakeDaemon } from "../support/fake-daemon.ts";

let daemon: FakeDaemon;
let io: CapturedIo;

beforeEach(async () => {
  daemon = await FakeDaemon.start();
});

afterEach(() => daemon.stop());

const vtepctl = (line: string, answer?: (command: string) => Executed): Promise<number> => {
  io = captureIo({ VTEPD_SOCKET: daemon.socket }, answer);
  return run(line.split(" "), io);
};

/** Programs that were run to change something. */
const commands = (): string[] => io.executed.filter((command) => !command.includes(" -j "));

/** Settings of the tunnel `t` after a line that must pass. */
const settings = async (line: string): Promise<unknown> => {
  expect([await vtepctl(line), io.stderr]).toEqual([0, ""]);
  return daemon.tunnels.get("t");
};

const IPV4 = { ttl: "inherit", "do-not-fragment": true };

describe("vtepctl link add: words become settings", () => {
  it.each([
    [
      "vxlan id 42 dstport 4789 remote 10.0.0.251 local 10.0.0.250 dev eth0",
      { mode: "vxlan", id: 42, port: 4789, remote: "10.0.0.251", local: "10.0.0.250", link: "eth0" },
    ],
    ["vxlan id 1 dstport 8472 nolearning", { mode: "vxlan", id: 1, port: 8472, "mac-learning": false }],
    [
      "vxlan i 0x2a dst 1 l 192.0.2.1 r 192.0.2.2 d eth0",
      { mode: "vxlan", id: 42, port: 1, local: "192.0.2.1", remote: "192.0.2.2", link: "eth0" },
    ],
    [
      "vxlan vni 2 dstport 1 group 239.1.1.1 ttl 5 tos 10",
      { mode: "vxlan", id: 2, port: 1, group: "239.1.1.1", ttl: 5, "type-of-service": 16 },
    ],
    [
      "vxlan id 2 dstport 1 remote ff05::1 local any ttl auto tos inherit",
      { mode: "vxlan", id: 2, port: 1, group: "ff05::1", ttl: "auto", "type-of-service": "inherit" },
    ],
    [
      "vxlan id 2 dstport 0 srcport 1000 2000 df inherit label 0xabcde ageing none maxaddress 100 tos AF21",
      {
        mode: "vxlan",
        id: 2,
        port: 8472,
        "port-range": [1000, 2000],
        "do-not-fragment": "inherit",
        "flow-label": 0xabcde,
        ageing: "none",
        limit: 100,
        "type-of-service": 0x48,
      },
    ],
    [
      "vxlan id 2 dstport 1 proxy l2miss l3miss nol2miss noudpcsum udp6zerocsumrx port 0 0 noexternal localbypass nogbp",
      { mode: "vxlan", id: 2, port: 1, "arp-proxy": true, notifications: ["l3-miss"], checksums: ["zero-udp6-rx"] },
    ],
    [
      "geneve id 7 remote 2001:db8::2 ttl 64 dstport 0",
      { mode: "geneve", id: 7, remote: "2001:db8::2", ttl: 64, port: 6081 },
    ],
    [
      "gre remote 192.0.2.2 local 192.0.2.1 ttl 255",
      { mode: "gre", ...IPV4, remote: "192.0.2.2", local: "192.0.2.1", ttl: 255 },
    ],
    [
      "gretap remote 192.0.2.2 key 7 seq csum nopmtudisc",
      {
        mode: "gretap",
        ttl: "inherit",
        remote: "192.0.2.2",
        key: 7,
        sequence: true,
        checksum: true,
        "do-not-fragment": "inherit",
      },
    ],
    [
      "gre remote any local 192.0.2.1 ikey 1.2.3.4 okey 5 iseq ocsum nopmtudisc ignore-df",
      {
        mode: "gre",
        ttl: "inherit",
        local: "192.0.2.1",
        key: { input: "1.2.3.4", output: 5 },
        sequence: { input: true, output: false },
        checksum: { input: false, output: true },
        "do-not-fragment": false,
      },
    ],
    [
      "gre remote 239.0.0.1 local 192.0.2.1 dev eth0 fwmark 0x10",
      { mode: "gre", ...IPV4, group: "239.0.0.1", local: "192.0.2.1", link: "eth0", fwmark: 16 },
    ],
    [
      "ip6gre remote 2001:db8::2 hoplimit 9 tclass 0x20 encaplimit none",
      { mode: "ip6gre", remote: "2001:db8::2", ttl: 9, "type-of-service": 0x20 },
    ],
    [
      "ip6gretap remote 2001:db8::2 flowlabel 5",
      { mode: "ip6gretap", ttl: 64, remote: "2001:db8::2", "flow-label": 5 },
    ],
    [
      "ip6tnl remote 2001:db8::2 fl inherit",
      { mode: "ip6tnl", ttl: 64, remote: "2001:db8::2", "flow-label": "inherit" },
    ],
    ["ipip remote 192.0.2.2 mode ipip", { mode: "ipip", ...IPV4, remote: "192.0.2.2" }],
    [
      "ipip remote 192.0.2.2 encap gue encap-sport auto encap-dport 5555 encap-csum noencap-remcsum",
      { mode: "ipip", ...IPV4, remote: "192.0.2.2", encap: { type: "gue", port: 5555 } },
    ],
    ["ipip remote 192.0.2.2 encap fou encap-dport 5555 noencap", { mode: "ipip", ...IPV4, remote: "192.0.2.2" }],
    ["sit remote 192.0.2.2 mode ip6ip", { mode: "sit", ...IPV4, remote: "192.0.2.2" }],
    ["sit remote any local 192.0.2.1 ttl 64", { mode: "6to4", ...IPV4, local: "192.0.2.1", ttl: 64 }],
    ["sit local 192.0.2.1 isatap", { mode: "isatap", ...IPV4, local: "192.0.2.1" }],
    [
      "sit local 10.0.0.1 6rd-prefix 2001:db8::/32 6rd-relay_prefix 10.0.0.0/8",
      { mode: "6rd", ...IPV4, local: "10.0.0.1", prefix: "2001:db8::/32", "relay-prefix": "10.0.0.0/8" },
    ],
    ["ip6tnl mode ip6ip6 remote 2001:db8::2", { mode: "ip6ip6", ttl: 64, remote: "2001:db8::2" }],
    ["ip6tnl mode ipip6 remote 2001:db8::2", { mode: "ipip6", ttl: 64, remote: "2001:db8::2" }],
    ["ip6tnl remote 2001:db8::2", { mode: "ip6tnl", ttl: 64, remote: "2001:db8::2" }],
    [
      "erspan seq key 100 local 192.0.2.1 remote 192.0.2.2 erspan_ver 2",
      { mode: "erspan", ...IPV4, session: 100, local: "192.0.2.1", remote: "192.0.2.2" },
    ],
    [
      "ip6erspan remote 2001:db8::2 erspan_ver 0 key 1",
      { mode: "ip6erspan", ttl: 64, remote: "2001:db8::2", session: 1 },
    ],
    [
      "vti remote 192.0.2.2 local 192.0.2.1 key-file /etc/vtepd/a.yaml",
      { mode: "vti", remote: "192.0.2.2", local: "192.0.2.1", "key-file": "/etc/vtepd/a.yaml" },
    ],
    ["vti6 remote 2001:db8::2 key-file /k", { mode: "vti6", remote: "2001:db8::2", "key-file": "/k" }],
  ])("type %s", async (words, expected) => {
    expect(await settings(`link add t type ${words}`)).toEqual(expected);
  });

  it("with mtu and address in front, and leaves the device down as `ip` does, or up", async () => {
    const vxlan = { mode: "vxlan", id: 1, port: 1 };
    const line = "link add name t mtu 1400 address 02:00:00:00:00:01 type vxlan id 1 dstport 1";
    expect(await settings(line)).toEqual({ ...vxlan, mtu: 1400, macaddress: "02:00:00:00:00:01" });
    expect(await settings("li a t up type vxlan id 1 dstport 1")).toEqual(vxlan);
    expect(daemon.changes.map(({ call }) => call)).toEqual(["POST /v1/links?state=down", "POST /v1/links?state=up"]);
    expect(commands()).toEqual([]);
  });

  it("without dstport: Linux's port, and says so", async () => {
    expect(await vtepctl("link add t type vxlan id 1")).toBe(0);
    expect(daemon.tunnels.get("t")).toEqual({ mode: "vxlan", id: 1, port: 8472 });
    expect(io.stderr).toBe(
      'vtepctl: vxlan: no dstport: taking 8472 as Linux does. "dstport 4789" is IANA\'s port, "dstport 0" this one without a word\n',
    );
  });

  it("and says what has no effect", async () => {
    expect(await vtepctl("link add link eth0 t ty vxlan id 1 dstport 1")).toBe(0);
    expect(io.stderr).toContain("vtepctl: link: it has no effect, as with Linux");
    await vtepctl("link del t");
    expect(await vtepctl("link add t type erspan key 1 remote 192.0.2.2 erspan 123")).toBe(0);
    expect(io.stderr).toContain("vtepctl: erspan: vtepd receives mirrored frames and sends none");
  });

  it("puts it into a bridge with the real `ip`, and takes all of it back when that fails", async () => {
    await settings("link add t master br0 txqlen 5 type vxlan id 1 dstport 1");
    expect(commands()).toEqual(["ip link set dev t master br0 txqueuelen 5"]);
    const refusal = { status: 1, stdout: "", stderr: 'Cannot find device "vrf0"\n' };
    expect(await vtepctl("link add u vrf vrf0 type vxlan id 2 dstport 1", () => refusal)).toBe(2);
    expect(commands()).toEqual(["ip link set dev u master vrf0"]);
    expect(io.stderr).toBe('vtepctl: Cannot find device "vrf0"\n');
    expect([...daemon.tunnels.keys()]).toEqual(["t"]);
  });
});

describe("vtepctl link set", () => {
  beforeEach(() =>
    vtepctl("link add t type vxlan id 1 dstport 1 l2miss remote 192.0.2.2").then(() => daemon.changes.splice(0)),
  );

  it("gives the real `ip` what is the device's, in any order of words", async () => {
    for (const line of ["link set t up", "link set up dev t", "link set dev t up"]) {
      expect(await vtepctl(line)).toBe(0);
      expect(commands()).toEqual(["ip link set dev t up"]);
    }
    await settings("link set t mtu 1300 address 02:00:00:00:00:09 master br0 down netns blue");
    expect(commands()).toEqual(["ip link set dev t down mtu 1300 address 02:00:00:00:00:09 master br0 netns blue"]);
    await settings("link set t nomaster");
    expect(commands()).toEqual(["ip link set dev t nomaster"]);
    expect(daemon.changes).toEqual([]);
  });

  it("sends what differs to the daemon", async () => {
    await settings("link set t type vxlan ttl 9 nol2miss l3miss remote 192.0.2.3 id 1");
    expect(daemon.changes).toEqual([
      { call: "PATCH /v1/links/t", body: { ttl: 9, notifications: ["l3-miss"], remote: "192.0.2.3" } },
    ]);
    await settings("link set t type vxlan remote any");
    expect(daemon.changes.at(-1)).toEqual({ call: "PATCH /v1/links/t", body: { remote: null } });
  });

  it("refuses another type, and a line that sets nothing", async () => {
    expect(await vtepctl("link set t type gre ttl 9")).toBe(1);
    expect(io.stderr).toBe("vtepctl: t is of mode vxlan, not of type gre\n");
    expect(await vtepctl("link set t")).toBe(1);
    expect(io.stderr).toContain("nothing to set");
    expect(await vtepctl("link set nope up")).toBe(2);
    expect(io.stderr).toBe('vtepctl: Cannot find device "nope"\n');
  });

  it("goes to where the device is", async () => {
    daemon.tunnels.set("t", { ...daemon.tunnels.get("t"), netns: "/proc/1/ns/net" });
    await settings("link set t up");
    const inOwn = "ip link set dev t up";
    expect([inOwn, `nsenter --net=/proc/1/ns/net ${inOwn}`]).toContain(commands()[0]);
  });
});

describe("vtepctl link del", () => {
  it("deletes, with the words of `ip link del`", async () => {
    for (const line of ["link del t", "link delete dev t", "link delete t type vxlan"]) {
      daemon.tunnels.set("t", { mode: "vxlan" });
      expect(await settings(line)).toBeUndefined();
    }
    daemon.tunnels.set("t", { mode: "vxlan" });
    expect(await vtepctl("link del t type gre")).toBe(1);
    expect(await vtepctl("link del nope")).toBe(2);
  });
});

describe("vtepctl tunnel", () => {
  it.each([
    [
      "add t mode gre remote 192.0.2.2 local 192.0.2.1 ttl 255",
      { mode: "gre", ...IPV4, remote: "192.0.2.2", local: "192.0.2.1", ttl: 255 },
    ],
    [
      "add mode ipip t remote 192.0.2.2 dev eth0 tos 10",
      { mode: "ipip", ...IPV4, remote: "192.0.2.2", link: "eth0", "type-of-service": 16 },
    ],
    [
      "add name t mode sit remote 192.0.2.2 ttl 64 nopmtudisc",
      { mode: "sit", ttl: 64, remote: "192.0.2.2", "do-not-fragment": "inherit" },
    ],
    ["add t mode sit local 192.0.2.1", { mode: "6to4", ...IPV4, local: "192.0.2.1" }],
    ["add t mode isatap local 192.0.2.1", { mode: "isatap", ...IPV4, local: "192.0.2.1" }],
    [
      "add t mode gre remote 192.0.2.2 key 7 csum",
      { mode: "gre", ...IPV4, remote: "192.0.2.2", key: 7, checksum: true },
    ],
    ["add t mode ip6gre remote 2001:db8::2 hoplimit 5", { mode: "ip6gre", ttl: 5, remote: "2001:db8::2" }],
    ["add t mode ipip6 remote 2001:db8::2 ttl 5", { mode: "ipip6", ttl: 5, remote: "2001:db8::2" }],
    ["add t mode any remote 2001:db8::2", { mode: "ip6tnl", ttl: 64, remote: "2001:db8::2" }],
  ])("%s", async (words, expected) => {
    expect(await settings(`tunnel ${words}`)).toEqual(expected);
  });

  it("takes its mode from the name, as `ip tunnel` does", async () => {
    expect(await vtepctl("tunnel add gre7 remote 192.0.2.2")).toBe(0);
    expect(daemon.tunnels.get("gre7")).toEqual({ mode: "gre", ...IPV4, remote: "192.0.2.2" });
    expect(await vtepctl("tunnel add t remote 192.0.2.2")).toBe(1);
    expect(io.stderr).toContain('"mode" is required');
  });

  it("changes, deletes", async () => {
    await vtepctl("tunnel add t mode gre remote 192.0.2.2 key 7");
    expect(await settings("tunnel change t ttl 9 remote 192.0.2.3")).toMatchObject({
      ttl: 9,
      remote: "192.0.2.3",
      key: 7,
    });
    expect(await vtepctl("tunnel change t mode ipip")).toBe(1);
    expect(await settings("tunnel del t")).toBeUndefined();
  });

  it("keeps ISATAP's routers and 6rd's prefix", async () => {
    await vtepctl("tunnel add t mode isatap local 192.0.2.1");
    expect(await settings("tunnel prl dev t prl-nodefault 192.0.2.9")).toMatchObject({
      "potential-routers": ["192.0.2.9"],
    });
    expect(await settings("tunnel prl dev t prl-default 192.0.2.8")).toMatchObject({
      "potential-routers": ["192.0.2.8", "192.0.2.9"],
    });
    expect(await settings("tunnel prl dev t prl-delete 192.0.2.9")).toMatchObject({
      "potential-routers": ["192.0.2.8"],
    });
    await vtepctl("tunnel del t");
    await vtepctl("tunnel add t mode sit local 192.0.2.1");
    expect(await settings("tunnel 6rd dev t 6rd-prefix 2001:db8::/32")).toMatchObject({
      mode: "6rd",
      prefix: "2001:db8::/32",
    });
    expect(await settings("tunnel 6rd dev t 6rd-reset")).toEqual({ mode: "6to4", ...IPV4, local: "192.0.2.1" });
  });

  it("shows the lines of `ip tunnel show`", async () => {
    await vtepctl("tunnel add t mode gre remote 192.0.2.2 key 7 ttl 255");
    await vtepctl("tunnel add u mode ipip remote 192.0.2.3 nopmtudisc");
    await vtepctl("link add v type vxlan id 1 dstport 1");
    await vtepctl("tunnel");
    expect(io.stdout).toBe(
      "t: gre/ip remote 192.0.2.2 local 192.0.2.1 ttl 255 key 7\n" +
        "u: ip/ip remote 192.0.2.3 local 192.0.2.1 ttl inherit nopmtudisc\n",
    );
    await vtepctl("-j tunnel show t");
    expect(JSON.parse(io.stdout)).toEqual([
      { ifname: "t", mode: "gre/ip", remote: "192.0.2.2", local: "192.0.2.1", ttl: 255, key: 7, flags: [] },
    ]);
    await vtepctl("-6 tunnel");
    expect(io.stdout).toBe("");
    await vtepctl("tunnel add w mode ip6gre remote 2001:db8::2 hoplimit 9 tclass 0x20 flowlabel 0xabcde");
    await vtepctl("tunnel add x mode ip6ip6 remote 2001:db8::2 tclass inherit flowlabel inherit");
    await vtepctl("-6 tunnel");
    expect(io.stdout).toBe(
      "w: gre/ipv6 remote 2001:db8::2 local 192.0.2.1 encaplimit none hoplimit 9 tclass 0x20 flowlabel 0xabcde (flowinfo 0x020abcde)\n" +
        "x: ipv6/ipv6 remote 2001:db8::2 local 192.0.2.1 encaplimit none hoplimit 64 tclass inherit flowlabel inherit (flowinfo 0x00000000)\n",
    );
  });
});

describe("vtepctl refuses with status 1, and changes nothing:", () => {
  const REASONED = " is not supported: ";
  it.each([
    ["link add t type vxlan idd 42", 'vxlan: unknown command "idd"? Did you mean "id"?'],
    ["link add t type vxlan id", 'Command line is not complete. Try option "help"'],
    ["link add t type vxlan id 16777216", 'argument "16777216" is wrong: invalid id'],
    ["link add t type vxlan id 1 remote 192.0.2", 'any valid address is expected rather than "192.0.2".'],
    ["link add t type vxlan id 1 ttl 256", 'argument "256" is wrong: invalid TTL'],
    ["link add t type vxlan id 1 external", `"external"${REASONED}`],
    ["link add t type vxlan id 1 gpe", `"gpe"${REASONED}`],
    ["link add t type vxlan id 1 rsc", `"rsc"${REASONED}`],
    ["link add t type vxlan id 1 up", 'vxlan: unknown command "up"?'],
    ["link add t type vxlann id 1", 'Unknown device type "vxlann". Did you mean "vxlan"?'],
    ["link add t type dummy", 'Unknown device type "dummy": that is no tunnel, use `ip link add ... type dummy`'],
    ["link add t", 'Not enough information: "type" argument is required'],
    ["link add type vxlan id 1", '"dev" is required: NAME'],
    ["link add t type vxlan remote 192.0.2.2", '"id" is required: id VNI'],
    ["link add t type vxlan id 1 id 2", 'either "id" is duplicate, or "2" is a garbage.'],
    ["link add t type vxlan id 1 group 192.0.2.2", 'argument "192.0.2.2" is wrong: invalid group address'],
    ["link -d show", '"-d" is an option: options stand before the object'],
    ["link add t numtxqueues 4 type vxlan id 1", '"numtxqueues" is what the daemon chooses'],
    ["link set t name u", "the device's name is the tunnel's"],
    ["link add t type gre remote 2001:db8::1", 'inet address is expected rather than "2001:db8::1".'],
    ["link add t type ip6gre remote 192.0.2.1", 'inet6 address is expected rather than "192.0.2.1".'],
    ["link add t type gre key x", 'invalid value for "key": "x"; it should be an unsigned integer'],
    ["link add t type ip6gre encaplimit 4", 'argument "4" is wrong: vtepd sends no encapsulation limit'],
    ["link add t type ip6gre dscp inherit", 'argument "inherit" is wrong: DSCP of received packets stays'],
    ["link add t type ipip mode mplsip", "mode mplsip is not supported: MPLS is not carried"],
    ["link add t type ipip encap fou noencap-csum", `"noencap-csum"${REASONED}`],
    ["link add t type vti key 5", `"key"${REASONED}keys of a kernel's VTI`],
    ["tunnel add t mode ipip remote 192.0.2.2 key 5", '"key" is no word of type ipip.'],
    ["tunnel add t mode gre remote 2001:db8::1", 'inet address is expected rather than "2001:db8::1".'],
    ["tunnel add t mode nope", 'argument "nope" is wrong: Unknown tunnel mode'],
    [
      "tunnel add t mode gre remote 192.0.2.2 rmote",
      'either "name" is duplicate, or "rmote" is a garbage. Did you mean "remote"?',
    ],
    ["tunnel add t mode gre remote 192.0.2.2 external", `"external"${REASONED}`],
  ])("%s", async (line, message) => {
    expect(await vtepctl(line)).toBe(1);
    expect(io.stderr.split("\n")[0]).toContain(`vtepctl: ${message}`);
    expect(io.stderr.split("\n")[1]).toBe(`  vtepctl ${line}`);
    expect({ changes: daemon.changes, executed: commands() }).toEqual({ changes: [], executed: [] });
  });

  it("marks the word itself, also when the mode is known only later", async () => {
    await vtepctl("tunnel add t remote 192.0.2.2 key 5 mode ipip");
    expect(io.stderr.split("\n")[2]).toMatch(/^ {40}\^\^\^ expected mode /);
  });
});

describe("vtepctl link help", () => {
  it("has the words of a type", async () => {
    for (const line of ["link help gre", "link add t type gre help"]) {
      expect(await vtepctl(line)).toBe(0);
      expect(io.stdout).toContain("Usage: ... type gre\n");
      expect(io.stdout).toContain("[ ikey KEY ]\n");
      expect(io.stdout).toMatch(/Not supported:\n {2}external +tunnels by metadata/);
    }
    expect(daemon.changes).toEqual([]);
  });
});

describe("vtepctl attach", () => {
  it.each([
    ["attach t", "one of pid, docker, podman and netns is required"],
    ["attach t pid 1 docker web", "one of pid, docker, podman and netns is required"],
    ["attach t pid web", "invalid number of a process"],
    ["attach t pid 1 address 172.18.1.2", 'argument "172.18.1.2" is wrong: ADDR/LENGTH is expected'],
    ["attach t pid 1 route 10.0.0.0/33", 'argument "10.0.0.0/33" is wrong: ADDR/LENGTH is expected'],
    ["attach t pid 1 via 192.0.2.1", '"via" is the gateway of "default" and "route"'],
    ["attach t pid 1 defualt", 'Did you mean "default"?'],
    ["attach", '"dev" is required: DEV'],
    ["detach t now", "is a garbage"],
  ])("refuses: %s", async (line, complaint) => {
    daemon.tunnels.set("t", { mode: "vxlan" });
    expect(await vtepctl(line)).toBe(1);
    expect(io.stderr).toContain(complaint);
    expect(io.executed).toEqual([]);
  });

  it("tells its words", async () => {
    expect(await vtepctl("attach help")).toBe(0);
    expect(io.stdout).toMatch(
      /^Usage: vtepctl attach DEV \[ pid PID \].* \[ address ADDR\/LENGTH \]\.\.\..* \[ default \]\n$/,
    );
    expect(await vtepctl("detach help")).toBe(0);
    expect(io.stdout).toBe("Usage: vtepctl detach DEV\n");
  });
});
