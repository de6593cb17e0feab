import { rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { OBJECTS } from "../../src/cli/grammar/objects.ts";
import { run } from "../../src/cli/vtepctl.ts";
import { captureIo } from "../support/capture-io.ts";
import { type ControlFixture, controlFixture, temporaryDirectory } from "../support/control-fixture.ts";

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

let control: ControlFixture;

/** `line` as a user would type it after the program's name; the socket comes from the environment. */
const vtepctl = async (
  line: string,
  env: Record<string, string> = { VTEPD_SOCKET: control.socket },
): Promise<Outcome> => {
  const io = captureIo(env);
  const status = await run(
    line.split(" ").filter((word) => word !== ""),
    io,
  );
  return { status, stdout: io.stdout, stderr: io.stderr };
};

const ok = async (line: string): Promise<string> => {
  const outcome = await vtepctl(line);
  expect(outcome).toMatchObject({ status: 0, stderr: "" });
  return outcome.stdout;
};

beforeEach(async () => {
  control = await controlFixture();
});

afterEach(() => control.close());

describe("vtepctl fdb show", () => {
  const all = [
    "00:00:00:00:00:00 dev vx42 dst 192.0.2.2 via eth0 self permanent",
    "02:00:00:00:00:05 dev vx42 dst 192.0.2.2 port 4790 vni 43 self permanent",
    "02:00:00:00:00:06 dev vx42 dst 192.0.2.2 self",
    "02:00:00:00:00:07 dev vx43 dst 2001:db8::9 self permanent",
  ];

  it("prints the lines of `bridge fdb show`", async () => {
    expect(await ok("fdb show")).toBe(`${all.join("\n")}\n`);
  });

  it("leaves the device out when it was asked for", async () => {
    expect(await ok("fdb show dev vx42")).toBe(
      `${all
        .slice(0, 3)
        .map((line) => line.replace(" dev vx42", ""))
        .join("\n")}\n`,
    );
  });

  it("prints used/updated with -s, where `bridge -s` has them", async () => {
    expect(await ok("-s fdb show dev vx42")).toBe(
      [
        "00:00:00:00:00:00 dst 192.0.2.2 via eth0 used 3/10 self permanent",
        "02:00:00:00:00:05 dst 192.0.2.2 port 4790 vni 43 used 3/10 self permanent",
        "02:00:00:00:00:06 dst 192.0.2.2 used 1/20 self",
        "",
      ].join("\n"),
    );
  });

  it("prints iproute2's JSON on one line with -j, in iproute2's order of keys", async () => {
    expect(await ok("-j fdb show dev vx42")).toBe(
      '[{"mac":"00:00:00:00:00:00","dst":"192.0.2.2","viaIf":"eth0","flags":["self"],"state":"permanent","vtepd":{"owner":"config"}},' +
        '{"mac":"02:00:00:00:00:05","dst":"192.0.2.2","port":4790,"vni":43,"flags":["self"],"state":"permanent","vtepd":{"owner":"control"}},' +
        '{"mac":"02:00:00:00:00:06","dst":"192.0.2.2","flags":["self"],"state":"","vtepd":{"owner":"learned"}}]\n',
    );
  });

  it("has ifname without dev, used and updated with -s", async () => {
    const entries = JSON.parse(await ok("-j -s fdb show"));
    expect(Object.keys(entries[0])).toEqual([
      "mac",
      "ifname",
      "dst",
      "viaIf",
      "used",
      "updated",
      "flags",
      "state",
      "vtepd",
    ]);
    expect(entries[2]).toMatchObject({ used: 1, updated: 20 });
  });

  it("prints the same JSON over several lines with -p", async () => {
    const pretty = await ok("-j -p fdb show");
    expect(pretty).toBe(`${JSON.stringify(JSON.parse(await ok("-j fdb show")), null, 4)}\n`);
  });

  it("prints text with -p alone, as `bridge` does", async () => {
    expect(await ok("-p fdb show")).toBe(await ok("fdb show"));
  });

  it("prints nothing, or an empty array, for an empty FDB", async () => {
    await ok("fdb del 02:00:00:00:00:07 dev vx43");
    expect(await ok("fdb show dev vx43")).toBe("");
    expect(await ok("-j fdb show dev vx43")).toBe("[]\n");
    expect(await ok("-j -p fdb show dev vx43")).toBe("[]\n");
  });

  it("is whole when it is long", async () => {
    for (let index = 0; index < 5000; index++) {
      const mac = `02:00:00:01:${(index >> 8).toString(16).padStart(2, "0")}:${(index & 255).toString(16).padStart(2, "0")}`;
      control.service.learn("vx43", mac, "2001:db8::9");
    }
    const lines = (await ok("fdb show dev vx43")).trimEnd().split("\n");
    expect(lines).toHaveLength(5001);
    expect(lines.at(-1)).toBe("02:00:00:01:13:87 dst 2001:db8::9 self");
    expect(JSON.parse(await ok("-j fdb show dev vx43"))).toHaveLength(5001);
  });
});

describe("vtepctl fdb add, append, replace, del", () => {
  const flood = (): readonly string[] => control.service.link("vx42").flood;

  it("takes the words of `bridge fdb add` in any order and says nothing", async () => {
    expect(await ok("fdb add 02:00:00:00:00:AA dev vx42 dst 192.0.2.3 port 8472 vni 201 self permanent")).toBe("");
    expect(await ok("fdb add static vni 0 dst 2001:db8::3 self dev vx43 02:00:00:00:00:bb")).toBe("");
    expect(await ok("fdb show")).toContain(
      "02:00:00:00:00:aa dev vx42 dst 192.0.2.3 port 8472 vni 201 self permanent\n",
    );
    expect(await ok("fdb show")).toContain("02:00:00:00:00:bb dev vx43 dst 2001:db8::3 vni 0 self permanent\n");
  });

  it("gives an entry and members of the flood list an underlay interface", async () => {
    await ok("fdb add 02:00:00:00:00:08 dev vx43 dst 2001:db8::3 via eth1");
    expect(await ok("fdb show dev vx43")).toContain("02:00:00:00:00:08 dst 2001:db8::3 via eth1 self permanent\n");
    await ok("flood set vx43 dst 2001:db8::3 via eth1 dst 2001:db8::3");
    expect(await ok("flood show vx43")).toBe("dst 2001:db8::3 via eth1\ndst 2001:db8::3\n");
    await ok("flood del vx43 dst 2001:db8::3");
    expect(JSON.parse(await ok("-j flood show vx43"))).toEqual([{ dst: "2001:db8::3", via: "eth1" }]);
  });

  it("makes an entry sticky, also out of a learned one", async () => {
    await ok("fdb add 02:00:00:00:00:06 dev vx42 dst 192.0.2.2 sticky static");
    expect(await ok("fdb show dev vx42")).toContain("02:00:00:00:00:06 dst 192.0.2.2 self sticky permanent\n");
    expect(JSON.parse(await ok("-j fdb show dev vx42")).at(-1)).toMatchObject({ flags: ["self", "sticky"] });
    await ok("fdb replace 02:00:00:00:00:06 dev vx42 dst 192.0.2.2");
    expect(await ok("fdb show dev vx42")).not.toContain("sticky");
  });

  it("refuses to add an entry that exists with status 2; replace takes it", async () => {
    const outcome = await vtepctl("fdb add 02:00:00:00:00:05 dev vx42 dst 192.0.2.9");
    expect(outcome).toEqual({
      status: 2,
      stdout: "",
      stderr: "vtepctl: File exists: 02:00:00:00:00:05 dev vx42 exists already\n",
    });
    await ok("fdb replace 02:00:00:00:00:05 dev vx42 dst 192.0.2.9");
    expect(await ok("fdb show dev vx42")).toContain("02:00:00:00:00:05 dst 192.0.2.9 self permanent\n");
  });

  it("appends to the flood list and deletes one member, or all", async () => {
    await ok("fdb append 00:00:00:00:00:00 dev vx42 dst 192.0.2.3");
    await ok("fdb append 00:00:00:00:00:00 dev vx42 dst 192.0.2.4");
    expect(flood()).toEqual(["192.0.2.2", "192.0.2.3", "192.0.2.4"]);
    await ok("fdb del 00:00:00:00:00:00 dev vx42 dst 192.0.2.3 self");
    expect(flood()).toEqual(["192.0.2.2", "192.0.2.4"]);
    await ok("fdb delete 00:00:00:00:00:00 dev vx42");
    expect(flood()).toEqual([]);
  });

  it("tells that there is no such entry with status 2", async () => {
    expect(await vtepctl("fdb del 02:00:00:00:00:99 dev vx42")).toMatchObject({
      status: 2,
      stderr: "vtepctl: no entry 02:00:00:00:00:99 dev vx42\n",
    });
  });
});

describe("vtepctl fdb in all the words of `bridge fdb`", () => {
  const macs = (text: string): string[] => [...text.matchAll(/^\S+/gm)].map(([mac]) => mac.slice(-2));

  it("show selects by state, by remote VTEP, by bridge", async () => {
    expect(macs(await ok("fdb show dynamic"))).toEqual(["06"]);
    expect(macs(await ok("fdb show state permanent brport vx42"))).toEqual(["00", "05"]);
    expect(macs(await ok("fdb show dst 2001:db8::9"))).toEqual(["07"]);
    expect(macs(await ok("fdb show lladdr 02:00:00:00:00:05"))).toEqual(["05"]);
    const io = captureIo({ VTEPD_SOCKET: control.socket }, () => ({
      status: 0,
      stdout: '[{"ifname":"vx43"}]',
      stderr: "",
    }));
    expect(await run(["-j", "fdb", "show", "br", "br0"], io)).toBe(0);
    expect(JSON.parse(io.stdout)).toMatchObject([{ ifname: "vx43" }]);
    expect(io.executed).toEqual(["ip -j link show master br0"]);
  });

  it("get prints one MAC's entries, or says with status 2 that there is none", async () => {
    expect(await ok("fdb get 02:00:00:00:00:05 dev vx42")).toBe(
      "02:00:00:00:00:05 dst 192.0.2.2 port 4790 vni 43 self permanent\n",
    );
    expect(JSON.parse(await ok("-j fdb get to 02:00:00:00:00:06 brport vx42 self"))).toHaveLength(1);
    expect(await vtepctl("fdb get 02:00:00:00:00:09 dev vx42")).toEqual({
      status: 2,
      stdout: "",
      stderr: "vtepctl: no entry 02:00:00:00:00:09 dev vx42\n",
    });
  });

  it("add takes local, use and extern_learn, and says what the last one is here", async () => {
    await ok("fdb add 02:00:00:00:00:0a dev vx42 dst 192.0.2.3 use local");
    const { status, stderr } = await vtepctl("fdb replace 02:00:00:00:00:0a dev vx42 dst 192.0.2.4 extern_learn");
    expect(status).toBe(0);
    expect(stderr).toMatch(/^vtepctl: extern_learn: vtepd keeps the entry as a permanent one/);
  });

  it("flush goes by the words of `bridge`", async () => {
    expect(await ok("fdb flush dev vx42 dynamic nooffloaded")).toBe("flushed 1\n");
    expect(await ok("fdb flush dev vx42 nopermanent")).toBe("flushed 0\n");
    expect(await ok("fdb flush dev vx42 static")).toBe("flushed 1\n");
    const both = await vtepctl("fdb flush dev vx42 static dynamic");
    expect(both).toMatchObject({ status: 1, stderr: expect.stringContaining("no entry is both static and dynamic") });
  });

  it.each([
    ["add 02:00:00:00:00:0a dev vx42 nhid 5", '"nhid" names a group of next hops'],
    ["add 02:00:00:00:00:0a dev vx42 dst 192.0.2.3 vlan 5", '"vlan" is of a bridge with VLANs'],
    ["add 02:00:00:00:00:0a dev vx42 dst 192.0.2.3 src_vni 5", '"src_vni" is for devices with many VNIs'],
    ["add 02:00:00:00:00:0a dev vx42 dst 192.0.2.3 router", '"router" is for route short circuits'],
    ["flush dev vx42 extern_learn", "no entry of vtepd is marked so"],
    ["show vlan 5", '"vlan" is of a bridge with VLANs'],
  ])("%s is refused with the reason", async (line, reason) => {
    expect(await vtepctl(`fdb ${line}`)).toMatchObject({ status: 1, stderr: expect.stringContaining(reason) });
  });
});

describe("vtepctl peer and drop", () => {
  it("tell of remote VTEPs and of dropped frames, a line each", async () => {
    expect(await ok("peer show")).toBe("192.0.2.2 dev vx42 port 4789 vni 42 path_mtu 1500 learned 1\n");
    expect(await ok("-s peer dst 192.0.2.2 dev vx42")).toBe(
      "192.0.2.2 dev vx42 port 4789 vni 42 path_mtu 1500 learned 1 rx packets 7 bytes 700 tx packets 9 bytes 900\n",
    );
    expect(JSON.parse(await ok("-j peer"))).toMatchObject([
      { ifname: "vx42", address: "192.0.2.2", rx: { packets: 7 } },
    ]);
    expect((await ok("drop show")).split("\n").slice(2, 3)).toEqual([
      "vx42 encap no_tx_target 4 (no FDB entry and an empty flood list)",
    ]);
    expect(await ok("drop")).toContain("socket 192.0.2.1:4789 decap vxlan_vni_not_found 8 (");
    expect(JSON.parse(await ok("-j drop dev vx42"))).toContainEqual(
      expect.objectContaining({ ifname: "vx42", direction: "decap", reason: "unknown_vtep", count: 6 }),
    );
  });
});

describe("vtepctl config", () => {
  it("shows what is in effect, checks a file without a daemon, tells what differs", async () => {
    const settings = { mode: "vxlan", id: 7, local: "192.0.2.1" };
    await control.desired.addLink("vx7", settings);
    const text = "version: 1\ntunnels:\n  # made by hand\n  vx7:\n    mode: vxlan\n    id: 7\n    local: 192.0.2.1\n";
    expect(await ok("config show vx7")).toBe(text);
    control.desired.file = "version: 1\ntunnels: { a0: { mode: vxlan, id: 8, local: 192.0.2.1 } }\n";
    await control.desired.reload(false);
    const all = await ok("config show");
    expect(all.match(/#.*\n.*/g)).toEqual(["# made by hand\n  vx7:"]);
    expect(all).toContain("\n  a0:\n");
    expect(JSON.parse(await ok("-j config show"))).toMatchObject({
      tunnels: { vx7: settings },
      owners: { vx7: "control" },
    });
    const file = join(control.directory, "vtepd.yaml");
    writeFileSync(file, "version: 1\n");
    expect(await ok(`config check ${file}`)).toBe(`${file}: ok\n`);
    writeFileSync(file, "version: 1\ntunnels: { a: { mode: vxlan, idd: 5 } }\n");
    expect(await vtepctl(`config check ${file}`)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("vtepd.yaml:2:"),
    });
  });
});

describe("vtepctl flood", () => {
  const shown = (): Promise<string> => ok("flood show vx42");

  it("adds a member; adding it twice changes nothing", async () => {
    expect(await ok("flood add vx42 dst 192.0.2.3 port 8472 vni 7")).toBe("");
    await ok("flood add dst 192.0.2.2 dev vx42");
    await ok("flood add vx42 dst 192.0.2.3 vni 7 port 8472");
    expect(await shown()).toBe("dst 192.0.2.2\ndst 192.0.2.3 port 8472 vni 7\n");
  });

  it("deletes the member that was named, and no other at the same address", async () => {
    await ok("flood add vx42 dst 192.0.2.2 vni 7");
    await ok("flood del vx42 dst 192.0.2.2");
    expect(await shown()).toBe("dst 192.0.2.2 vni 7\n");
    expect(await vtepctl("flood delete vx42 dst 192.0.2.2")).toMatchObject({ status: 2, stdout: "" });
    await ok("flood delete dev vx42 vni 7 dst 192.0.2.2");
    expect(await shown()).toBe("");
  });

  it("sets the whole list, also an empty one", async () => {
    await ok("flood set vx42 dst 192.0.2.5 vni 7 dst 192.0.2.4 port 8472");
    expect(await shown()).toBe("dst 192.0.2.5 vni 7\ndst 192.0.2.4 port 8472\n");
    await ok("flood set dst 192.0.2.6 dev vx42");
    expect(await shown()).toBe("dst 192.0.2.6\n");
    await ok("flood set vx42 none");
    expect(await shown()).toBe("");
    expect(JSON.parse(await ok("-j flood show vx42"))).toEqual([]);
  });

  it("takes host names, where they may stand", async () => {
    await ok("flood set vx42 dst VTEP.example. vni 7 dst 192.0.2.2");
    expect(await shown()).toBe("dst vtep.example vni 7\ndst 192.0.2.2\n");
    await ok("flood del vx42 dst Vtep.example vni 7");
    await ok("fdb add 02:00:00:00:00:aa dev vx42 dst vtep.example");
    await ok("fdb del 02:00:00:00:00:aa dev vx42 dst vtep.example");
  });

  it("reaches a device whose name is a word of the grammar", async () => {
    for (const name of ["none", "dst"]) {
      control.service.addLink({ ...control.service.link("vx43"), name });
      await ok(`flood set dev ${name} dst 2001:db8::9`);
      expect(await ok(`flood show dev ${name}`)).toBe("dst 2001:db8::9\n");
    }
  });

  it("has its grammar in the help", async () => {
    expect(await ok("flood help")).toBe(
      [
        "Usage: vtepctl flood [ show DEV ]",
        "       vtepctl flood { add | del } DEV dst { IP | NAME } [ port PORT ] [ vni VNI ] [ via DEV ]",
        "       vtepctl flood set DEV { none | dst { IP | NAME } [ port PORT ] [ vni VNI ] [ via DEV ] ... }",
        "",
      ].join("\n"),
    );
  });
});

describe("vtepctl link show", () => {
  const vx42 = [
    "4: vx42: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 state UNKNOWN",
    "    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff",
    "    vxlan id 42 remote 192.0.2.2 local 192.0.2.1 dev eth0 srcport 0 0 dstport 4789 ttl auto ageing 300 maxaddr 65536 udpcsum noudp6zerocsumtx noudp6zerocsumrx",
    "    vtepd state up queues 1 offload socket learned 1 static 2 flood 192.0.2.2",
  ];
  const vx43 = [
    "5: vx43: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1430 state UNKNOWN",
    "    link/ether 02:00:00:00:00:02 brd ff:ff:ff:ff:ff:ff",
    "    vxlan id 43 local 2001:db8::1 srcport 0 0 dstport 4790 nolearning ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx",
    "    vtepd state up queues 2 offload socket netns blue learned 0 static 1",
  ];

  it("prints the shape of `ip -d link show`", async () => {
    expect(await ok("link show")).toBe(`${[...vx42, ...vx43].join("\n")}\n`);
  });

  it("takes a name with and without dev, and -d as `ip` does", async () => {
    const text = `${vx42.join("\n")}\n`;
    expect(await ok("link show vx42")).toBe(text);
    expect(await ok("link show dev vx42")).toBe(text);
    expect(await ok("-d link show vx42")).toBe(text);
  });

  it("adds iproute2's table of counters with -s", async () => {
    expect(await ok("-s link show vx42")).toBe(
      [
        ...vx42,
        "    RX:  bytes packets errors dropped  missed   mcast",
        "           700       7      5       6       0       0",
        "    TX:  bytes packets errors dropped carrier collsns",
        "           900       9      3       4       2       0",
        "",
      ].join("\n"),
    );
  });

  it("widens a column for a large number, headings too", async () => {
    control.service.addLink(control.service.link("vx42"), { rxFrames: 123_456_789, rxBytes: 1_234_567_890_123 });
    const lines = (await ok("-s link show vx42")).split("\n").slice(-5, -1);
    expect(lines).toEqual([
      "    RX:     bytes   packets errors dropped  missed   mcast",
      "    1234567890123 123456789      0       0       0       0",
      "    TX:     bytes   packets errors dropped carrier collsns",
      "                0         0      0       0       0       0",
    ]);
  });

  it("prints an array also for one link; counters only with -s", async () => {
    const [link, ...rest] = JSON.parse(await ok("-j link show vx42"));
    expect(rest).toEqual([]);
    expect(link).not.toHaveProperty("stats64");
    expect(link).toMatchObject({ ifname: "vx42", linkinfo: { info_kind: "vxlan", info_data: { id: 42 } } });
    const [withStats] = JSON.parse(await ok("-j -s link show vx42"));
    expect(withStats.stats64.rx).toEqual({
      bytes: 700,
      packets: 7,
      errors: 5,
      dropped: 6,
      over_errors: 0,
      multicast: 0,
    });
  });

  it("says what policers let through", async () => {
    const policers = { multicast: 20, perSource: { broadcast: 5, unknownUnicast: 7 } };
    control.service.addLink({ ...control.service.link("vx43"), policers });
    expect(await ok("link show vx43")).toContain(
      " netns blue policers multicast 20 per-source broadcast 5 unknown-unicast 7 learned 0 ",
    );
    const [link] = JSON.parse(await ok("-j link show vx43"));
    expect(link.vtepd.policers).toEqual({ multicast: 20, "per-source": { broadcast: 5, "unknown-unicast": 7 } });
  });

  it("says that a device is gone", async () => {
    control.service.addLink({ ...control.service.link("vx43"), state: "gone", ifindex: 0, ageingS: 0 });
    const text = await ok("link show vx43");
    expect(text).toContain("0: vx43: <> mtu 1430 state NOTPRESENT\n");
    expect(text).toContain("    vtepd state gone queues 2 offload socket netns blue learned 0 static 1\n");
    expect(text).toContain(" ageing none ");
  });
});

describe("vtepctl link show with the options of `ip`", () => {
  const names = async (line: string): Promise<string[]> =>
    JSON.parse(await ok(`-j link show ${line}`)).map(({ ifname }: { ifname: string }) => ifname);

  it("-br: a line for each", async () => {
    expect(await ok("-br link")).toBe(
      "vx42             UNKNOWN        02:00:00:00:00:01 <BROADCAST,MULTICAST,UP,LOWER_UP> \n" +
        "vx43             UNKNOWN        02:00:00:00:00:02 <BROADCAST,MULTICAST,UP,LOWER_UP> \n",
    );
    const [link] = JSON.parse(await ok("-br -j link show vx42"));
    expect(Object.keys(link)).toEqual(["ifname", "operstate", "address", "flags"]);
  });

  it("-o: its lines joined", async () => {
    const text = await ok("link show vx42");
    expect(await ok("-o link show vx42")).toBe(`${text.trimEnd().replaceAll("\n", "\\")}\n`);
    expect((await ok("-o link")).split("\n")).toHaveLength(3);
  });

  it("type, up and master select", async () => {
    control.service.addLink({ ...control.service.link("vx43"), mode: "geneve", state: "gone" });
    expect(await names("type vxlan")).toEqual(["vx42"]);
    expect(await names("up")).toEqual(["vx42"]);
    const io = captureIo({ VTEPD_SOCKET: control.socket }, () => ({
      status: 0,
      stdout: '[{"ifname":"vx43"},{}]',
      stderr: "",
    }));
    expect(await run(["-br", "link", "show", "master", "br0"], io)).toBe(0);
    expect(io.executed).toEqual(["ip -j link show master br0"]);
    expect(io.stdout).toMatch(/^vx43 .*\n$/);
  });
});

describe("vtepctl -batch", () => {
  const batch = (text: string): string => {
    const file = join(control.directory, "lines");
    writeFileSync(file, text);
    return file;
  };

  it("runs the lines of a file: comments, quotes, lines that go on", async () => {
    const file = batch(
      '# a comment\n\nfdb add 02:00:00:00:00:aa dev "vx42" dst 192.0.2.3 # here, too\nfdb add 02:00:00:00:00:bb \\\n dev vx42 dst 192.0.2.4\n-j flood show vx42\n',
    );
    expect(JSON.parse(await ok(`-b ${file}`))).toEqual([{ dst: "192.0.2.2" }]);
    expect(await ok("fdb show dev vx42")).toMatch(/02:00:00:00:00:aa .*\n.*02:00:00:00:00:bb /);
  });

  it("ends at a line that fails and names it, or goes on with -force", async () => {
    const file = batch(
      "fdb del 02:00:00:00:00:05 dev vx42\nfdb nonsense\nlink show nope\nfdb del 02:00:00:00:00:06 dev vx42\n",
    );
    const before = await vtepctl(`-batch ${file}`);
    expect(before.status).toBe(1);
    expect(before.stderr).toContain('vtepctl: Command "nonsense" is unknown');
    expect(before.stderr.endsWith(`Command failed ${file}:2\n`)).toBe(true);
    expect(await ok("fdb show dev vx42")).not.toContain("00:05");
    expect(await ok("fdb show dev vx42")).toContain("00:06");
    const forced = await vtepctl(`-force -b ${file}`);
    expect(forced.status).toBe(1);
    expect(forced.stderr.match(/Command failed .*/g)).toEqual(
      [1, 2, 3].map((line) => `Command failed ${file}:${line}`),
    );
    expect(await ok("fdb show dev vx42")).not.toContain("00:06");
  });

  it("makes changes that follow one another in one call", async () => {
    const macs = Array.from({ length: 200 }, (_, index) => `02:00:00:01:00:${index.toString(16).padStart(2, "0")}`);
    const adds = macs.map((mac) => `fdb add ${mac} dev vx43 dst 2001:db8::9`);
    const calls = (): number => control.lines.filter(({ path }) => path === "/v1/changes").length;
    await ok(
      `-b ${batch(`${adds.join("\n")}\nneigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev vx43\nflood add vx43 dst 2001:db8::8\n`)}`,
    );
    expect(calls()).toBe(1);
    expect((await ok("fdb show dev vx43")).split("\n").length).toBe(203);
    expect(await ok("neigh show dev vx43")).toContain("10.0.0.9 ");
  });

  it("says that there is no such file", async () => {
    expect(await vtepctl("-b /nonexistent")).toMatchObject({
      status: 1,
      stderr: 'vtepctl: Cannot open file "/nonexistent" for reading: ENOENT\n',
    });
  });
});

describe("vtepctl stats and status", () => {
  it("prints one fact a line", async () => {
    expect(await ok("stats")).toBe(
      [
        "vx42 rx packets 7 bytes 700 tx packets 9 bytes 900 flooded 2 reserved_bits 0 neighbour_answers 0",
        "vx42 fdb learns 3 moves 1 damped 0 aged 0 full 0 remote_full 0 evicted 0",
        "vx42 drop encap ip_outnoroutes 2",
        "vx42 drop encap tx_error 3",
        "vx42 drop encap no_tx_target 4",
        "vx42 drop decap hdr_trunc 5",
        "vx42 drop decap unknown_vtep 6",
        "vx42 remote 192.0.2.2 port 4789 vni 42 path_mtu 1500 learned 1 rx packets 7 bytes 700 tx packets 9 bytes 900",
        "vx43 rx packets 0 bytes 0 tx packets 0 bytes 0 flooded 0 reserved_bits 0 neighbour_answers 0",
        "vx43 fdb learns 0 moves 0 damped 0 aged 0 full 0 remote_full 0 evicted 0",
        "socket 192.0.2.1:4789 drop vxlan_vni_not_found 8",
        "",
      ].join("\n"),
    );
  });

  it("prints one tunnel with dev, the verb may be left out", async () => {
    const text =
      "vx43 rx packets 0 bytes 0 tx packets 0 bytes 0 flooded 0 reserved_bits 0 neighbour_answers 0\nvx43 fdb learns 0 moves 0 damped 0 aged 0 full 0 remote_full 0 evicted 0\n";
    expect(await ok("stats dev vx43")).toBe(text);
    expect(await ok("stats show dev vx43")).toBe(text);
    expect(JSON.parse(await ok("-j stats dev vx43")).links).toHaveLength(1);
  });

  it("prints the daemon's state", async () => {
    expect(await ok("status")).toBe(
      [
        "vtepd 0.1.0-test node v20.20.2 pid 4711 up 1h2m5s",
        "config /etc/vtepd/vtepd.yaml",
        "journal /var/lib/vtepd/control.journal bytes 4096 waiting 2",
        "links 2",
        "fdb entries 4 capacity 131072",
        "offload socket in_use udp-segment segment_refused 3 segment_lost 1",
        "offload not tap-uso: TUNSETOFFLOAD: EINVAL",
        "worker 0 wakeups 10 batches 20 frames 300 overflow 4 errors 0",
        "",
      ].join("\n"),
    );
    expect(JSON.parse(await ok("-j status"))).toMatchObject({ pid: 4711, uptime: 3725 });
  });
});

describe("vtepctl refuses with status 1, and asks no daemon,", () => {
  const nobody = { VTEPD_SOCKET: "/nonexistent/vtepd.sock" };

  it.each([
    ["fdb add 02:00:00 dev vx42 dst 192.0.2.2", "Invalid mac address 02:00:00"],
    ["fdb add 02:00:00:00:00:05 dev vx42 dst 192.0.2", 'any valid address is expected rather than "192.0.2".'],
    ["fdb add 02:00:00:00:00:05 dev vx42 dst 192.0.2.2 port 0", 'argument "0" is wrong: invalid port'],
    ["fdb add 02:00:00:00:00:05 dev vx42 dst 192.0.2.2 port 65536", 'argument "65536" is wrong: invalid port'],
    ["fdb add 02:00:00:00:00:05 dev vx42 dst 192.0.2.2 vni x", 'argument "x" is wrong: invalid VNI'],
    ["fdb add 02:00:00:00:00:05 dev vx42 dst 192.0.2.2 vni 16777216", 'argument "16777216" is wrong: invalid VNI'],
    ["fdb add 02:00:00:00:00:05 dev vx42 dst", 'Command line is not complete. Try option "help"'],
    ["fdb add 02:00:00:00:00:05 dst 192.0.2.2", '"dev" is required: dev DEV'],
    ["fdb add 02:00:00:00:00:05 dev vx42", '"dst" is required: dst { IP | NAME }'],
    ["fdb add dev vx42 dst 192.0.2.2", '"lladdr" is required: LLADDR'],
    ["fdb del dev vx42", '"lladdr" is required: LLADDR'],
    ["fdb add 02:00:00:00:00:05 dev vx42 dev vx43 dst 192.0.2.2", 'duplicate "dev": "vx43" is the second value.'],
    [
      "fdb add 02:00:00:00:00:05 dev vx42 dst 192.0.2.2 bogus",
      'either "lladdr" is duplicate, or "bogus" is a garbage.',
    ],
    ["fdb show vx42", '"vx42" is a garbage.'],
    ["fdb show dev", 'Command line is not complete. Try option "help"'],
    ["fdb show dev a/b", 'argument "a/b" is wrong: not a valid ifname'],
    ["fdb show dev sixteen-letters-", 'argument "sixteen-letters-" is wrong: not a valid ifname'],
    [
      "fdb add 02:00:00:00:00:05 dev vx42 dst 192.0.2.2 master",
      '"master" is the FDB of a Linux bridge, which is not vtepd\'s: use `bridge fdb ... master`',
    ],
    [
      "fdb del 02:00:00:00:00:05 dev vx42 master",
      '"master" is the FDB of a Linux bridge, which is not vtepd\'s: use `bridge fdb ... master`',
    ],
    [
      "fdb add 02:00:00:00:00:05 dev vx42 dst 192.0.2.2 dynamic",
      '"dynamic" entries are learned from frames only: make a static one',
    ],
    [
      "fdb del 02:00:00:00:00:05 dev vx42 port 4790",
      '"port" does not select an entry to delete: give LLADDR, dev and dst',
    ],
    ["flood set vx42", '"dst" is required: dst { IP | NAME }, or none for an empty list'],
    ["flood set none", '"dst" is required: dst { IP | NAME }, or none for an empty list'],
    ["flood set dst 192.0.2.2", '"dev" is required: DEV'],
    ["flood set vx42 port 1 dst 192.0.2.2", '"port" stands behind the "dst" that it belongs to'],
    ["flood set vx42 dst 192.0.2.2 vni 1 vni 2", 'duplicate "vni": "2" is the second value.'],
    ["flood set vx42 dst 192.0.2.2 none", '"none" is the empty list: give it alone or not at all'],
    ["flood set vx42 dst", 'Command line is not complete. Try option "help"'],
    ["flood set vx42 vx43 none", 'either "dev" is duplicate, or "vx43" is a garbage.'],
    ["flood add vx42 none", 'either "dev" is duplicate, or "none" is a garbage.'],
    ["flood add vx42 dst host_1", 'any valid address is expected rather than "host_1".'],
    ["flood add vx42", '"dst" is required: dst { IP | NAME }'],
    ["link show vx42 vx43", 'either "dev" is duplicate, or "vx43" is a garbage.'],
    ["link show -j", '"-j" is an option: options stand before the object'],
    ["bogus", 'Object "bogus" is unknown, try "vtepctl help".'],
    ["fdb -j show", '"-j" is an option: options stand before the object'],
    ["help lnk", 'Object "lnk" is unknown, try "vtepctl help". Did you mean "link"?'],
    ["fdb bogus", 'Command "bogus" is unknown, try "vtepctl fdb help".'],
    ["link adt", 'Command "adt" is unknown, try "vtepctl link help". Did you mean "add"?'],
    ["-bogus fdb", 'Option "-bogus" is unknown, try "vtepctl help".'],
    ["- fdb", 'Option "-" is unknown, try "vtepctl help".'],
    ["-socket", 'Command line is not complete. Try option "help"'],
    ["s", '"s" is ambiguous: it may mean stats, shim, status'],
    ["stat", '"stat" is ambiguous: it may mean stats, status'],
    ["fdb a 02:00:00:00:00:05", '"a" is ambiguous: it may mean add, append'],
  ])("%s", async (line, message) => {
    const { status, stdout, stderr } = await vtepctl(line, nobody);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr.split("\n")[0]).toBe(`vtepctl: ${message}`);
    expect(stderr.split("\n")[1]).toBe(`  vtepctl ${line}`);
  });
});

it("vtepctl shows words without what a terminal obeys", async () => {
  const { status, stderr } = await vtepctl("fdb \u001b[31mred");
  expect([status, stderr.split("\n", 2)]).toEqual([
    1,
    ['vtepctl: Command "?[31mred" is unknown, try "vtepctl fdb help".', "  vtepctl fdb ?[31mred"],
  ]);
});

describe("vtepctl says where a line is wrong, what was expected there and what was perhaps meant:", () => {
  it.each([
    [
      "fdb ad 02:00:00:00:00:05 dve vx42 dst 192.0.2.2",
      [
        'vtepctl: either "lladdr" is duplicate, or "dve" is a garbage. Did you mean "dev"?',
        "  vtepctl fdb ad 02:00:00:00:00:05 dve vx42 dst 192.0.2.2",
        "                                   ^^^ expected dev DEV, dst { IP | NAME }, port PORT, vni VNI, via DEV, sticky, use, extern_learn",
      ],
    ],
    [
      "fdb add 02:00:00:00:00:05 dev",
      [
        'vtepctl: Command line is not complete. Try option "help"',
        "  vtepctl fdb add 02:00:00:00:00:05 dev",
        "                                        ^ expected DEV",
      ],
    ],
    [
      "lnik show",
      [
        'vtepctl: Object "lnik" is unknown, try "vtepctl help". Did you mean "link"?',
        "  vtepctl lnik show",
        `          ^^^^ expected ${OBJECTS.map(({ name }) => name).join(", ")}`,
      ],
    ],
  ])("%s", async (line, lines) => {
    const { status, stderr } = await vtepctl(line);
    expect(status).toBe(1);
    expect(stderr).toBe(`${lines.join("\n")}\n`);
  });
});

describe("vtepctl understands", () => {
  it.each([
    ["l", "link show"],
    ["l sh", "link show"],
    ["li l", "link show"],
    ["link lst", "link show"],
    ["link ls", "link show"],
    ["link list", "link show"],
    ["fd s", "fdb show"],
    ["fdb dev vx42", "fdb show dev vx42"],
    ["stats s", "stats show"],
    ["statu", "status"],
    ["-statistics fdb", "-s fdb"],
    ["--stats fdb", "-s fdb"],
    ["-st fdb", "-s fdb"],
    ["--json --pretty link show", "-j -p link show"],
    ["h", "help"],
    ["-h", "help"],
    ["--help fdb add", "help"],
    ["fdb h", "fdb help"],
    ["help flood", "flood help"],
    ["help shim", "shim help"],
    ["--version", "-V"],
    ["-c -t -d -color=never fdb", "fdb"],
    ["neighbor show", "neighbour show"],
    ["fdb show de vx42", "fdb show dev vx42"],
  ])("%s as %s", async (short, long) => {
    // `link ls` is no prefix of any name but of `lst`.
    expect(await ok(short)).toBe(await ok(long));
  });

  it("unique prefixes of the writing verbs", async () => {
    await ok("fdb ad 02:00:00:00:00:aa dev vx42 dst 192.0.2.3");
    await ok("fdb r 02:00:00:00:00:aa dev vx42 dst 192.0.2.4");
    await ok("fd ap 00:00:00:00:00:00 dev vx42 dst 192.0.2.5");
    await ok("fd d 02:00:00:00:00:aa dev vx42");
    expect(await ok("fdb show dev vx42")).toContain("00:00:00:00:00:00 dst 192.0.2.5 self permanent\n");
    expect(await ok("fdb show dev vx42")).not.toContain("02:00:00:00:00:aa");
  });
});

describe("vtepctl help", () => {
  it("is made of the grammar and goes to stdout", async () => {
    const text = await ok("help");
    for (const line of [
      "Usage: vtepctl [ OPTIONS ] OBJECT { COMMAND | help }",
      "       vtepctl link [ show [ DEV ] [ type TYPE ] [ master DEV ] [ up ] ]",
      "       vtepctl fdb { add | append | replace } LLADDR dev DEV dst { IP | NAME } [ port PORT ] [ vni VNI ] [ via DEV ] [ sticky ] [ use ] [ extern_learn ] [ self ] [ permanent | static | local ]",
      "       vtepctl fdb del LLADDR dev DEV [ dst { IP | NAME } ] [ self ] [ permanent | static | local ]",
      "  -so[cket] PATH  control socket of the daemon; also VTEPD_SOCKET",
      "  -j[son]         print JSON",
    ]) {
      expect(text.split("\n")).toContain(line);
    }
  });

  it("of an object has its commands only", async () => {
    expect(await ok("stats help")).toBe("Usage: vtepctl stats [ show [ dev DEV ] ]\n");
  });

  it("goes to stderr with status 1 when there is no command", async () => {
    const { status, stdout, stderr } = await vtepctl("");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toBe(await ok("help"));
  });
});

describe("vtepctl finds the daemon", () => {
  it("by -socket before VTEPD_SOCKET", async () => {
    const outcome = await vtepctl(`-socket ${control.socket} status`, { VTEPD_SOCKET: "/nonexistent" });
    expect(outcome.status).toBe(0);
    expect((await vtepctl(`--so ${control.socket} status`, {})).status).toBe(0);
  });

  it("at the configuration's default path otherwise", async () => {
    const { configSchema } = await import("../../src/config/schema.ts");
    const parsed = configSchema.parse({ version: 1 }) as { daemon: { control: { socket: string } } };
    const source = await import("node:fs").then(({ readFileSync }) => readFileSync("src/cli/vtepctl.ts", "utf8"));
    expect(source).toContain(`const DEFAULT_SOCKET = "${parsed.daemon.control.socket}";`);
  });

  it("or says with status 2 that there is none", async () => {
    expect(await vtepctl("status", { VTEPD_SOCKET: "/nonexistent/vtepd.sock" })).toEqual({
      status: 2,
      stdout: "",
      stderr: "vtepctl: cannot reach vtepd at /nonexistent/vtepd.sock: there is no such socket; is it running?\n",
    });
  });

  it("or says that nobody answers on what is left of it", async () => {
    const file = join(control.directory, "plain");
    writeFileSync(file, "");
    expect(await vtepctl("fdb show", { VTEPD_SOCKET: file })).toMatchObject({
      status: 2,
      stderr: `vtepctl: cannot reach vtepd at ${file}: nobody answers; is it running?\n`,
    });
  });

  it("but not the tunnel: status 2 and iproute2's words", async () => {
    for (const line of [
      "link show nope",
      "fdb show dev nope",
      "stats dev nope",
      "fdb add 02:00:00:00:00:05 dev nope dst 192.0.2.2",
      "fdb del 02:00:00:00:00:05 dev nope",
      "flood add nope dst 192.0.2.2",
      "flood set dev nope none",
    ]) {
      expect(await vtepctl(line)).toEqual({ status: 2, stdout: "", stderr: 'vtepctl: Cannot find device "nope"\n' });
    }
  });

  it("and tells of a bug in it with status 2", async () => {
    control.service.bug = new Error("the secret cause");
    const { status, stderr } = await vtepctl("status");
    expect(status).toBe(2);
    expect(stderr).toMatch(/^vtepctl: vtepd failed unexpectedly/);
  });
});

describe("vtepctl in front of something else", () => {
  let directory: string;
  let socket: string;
  let answer: { status: number; type: string; body: string; cut?: boolean };
  const server = createServer((_request, response) => {
    response.writeHead(answer.status, { "content-type": answer.type });
    if (answer.cut === true) response.write(answer.body, () => response.destroy());
    else response.end(answer.body);
  });

  beforeAll(async () => {
    directory = temporaryDirectory();
    socket = join(directory, "other.sock");
    await new Promise<void>((resolve) => server.listen(socket, resolve));
  });

  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
    rmSync(directory, { recursive: true });
  });

  it("refuses an answer that is no problem", async () => {
    answer = { status: 502, type: "text/html", body: "<html>" };
    const { status, stderr } = await vtepctl("status", { VTEPD_SOCKET: socket });
    expect(status).toBe(2);
    expect(stderr).toContain("status 502");
  });

  it("takes a code it does not know for a refusal", async () => {
    const body = JSON.stringify({ code: "ERR_OF_THE_FUTURE", detail: "not yet" });
    answer = { status: 400, type: "application/problem+json", body };
    expect(await vtepctl("status", { VTEPD_SOCKET: socket })).toMatchObject({
      status: 2,
      stderr: "vtepctl: not yet\n",
    });
  });

  it("tells a dump that broke off from one that ended", async () => {
    const line = '{"mac":"02:00:00:00:00:05","dst":"192.0.2.2","used":0,"updated":0,"flags":["self"],"state":""}\n';
    answer = { status: 200, type: "application/x-ndjson", body: line, cut: true };
    const { status, stdout, stderr } = await vtepctl("fdb show", { VTEPD_SOCKET: socket });
    expect(stdout).toBe("02:00:00:00:00:05 dst 192.0.2.2 self\n");
    expect(status).toBe(2);
    expect(stderr).toContain("before its answer was whole");
  });
});
