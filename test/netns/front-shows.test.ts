/**
 * What scripts read: the forms of `ip link show` and `ip address show` through the wrappers, of the same tunnel on a host of
 * ours and on one with the kernel's vxlan, line by line and key by key. And `ip tunnel`, of which this kernel has none.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TutorialHost } from "../interop/tutorials/tutorial-host.ts";
import { Lab } from "../support/lab.ts";

const LINES = `
  sysctl -qw net.ipv6.conf.default.accept_dad=0
  ip link add vxlan0 address 02:00:00:00:00:05 type vxlan id 42 dstport 4789 remote 192.0.2.9 local 192.0.2.1 dev eth0 maxaddress 65536
  ip addr add 10.42.0.1/24 dev vxlan0
  ip link set vxlan0 up
  ip link add br0 type bridge
  ip link set vxlan0 master br0
  ip link set br0 up`;

/** What is the device's own: a TAP of ours has queues, and takes smaller frames. */
const OWN_WORDS =
  /(?<=\b(?:qdisc|qlen|maxmtu|cost|numtxqueues|numrxqueues|[gt]so_max_size|[gt]so_max_segs|gro_max_size|txqlen) )\S+/g;
const OWN_KEYS = ["qdisc", "txqlen", "max_mtu", "cost", "num_tx_queues", "num_rx_queues"];
const OWN_SIZES = /^(gso|tso|gro)_max_/;

const plainText = (text: string): string =>
  text
    .replaceAll(OWN_WORDS, "_")
    .replaceAll(/^\d+: /gm, "_: ")
    .replaceAll(/_timer\s+[\d.]+/g, "_timer _")
    .replaceAll(/^ +(\d+ +)+$/gm, "counters");

const plain = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const keys = Object.entries(value).filter(
    ([key]) => key !== "ifindex" && !key.endsWith("_timer") && key !== "stats64",
  );
  return keys.map(([key, each]) => [key, OWN_KEYS.includes(key) || OWN_SIZES.test(key) ? "_" : plain(each)]);
};

let lab: Lab;
let ours: TutorialHost;
let theirs: TutorialHost;

beforeAll(async () => {
  lab = Lab.create();
  const [a, b] = [lab.host("a"), lab.host("b")];
  lab.wire(a, "eth0", b, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.1/24"] });
  ours = await TutorialHost.on(a);
  theirs = await TutorialHost.on(b);
  ours.run(LINES);
  b.run("nsenter", [...theirs.entry(), "bash", "-ec", LINES]);
}, 60_000);

afterAll(async () => {
  await ours?.stop();
  await theirs?.stop();
  await lab.close();
});

const both = (words: string): [ours: string, theirs: string] => {
  const real = theirs.host.run("nsenter", [...theirs.entry(), "ip", ...words.split(" ")]);
  return [ours.run(`ip ${words}`), real];
};

describe("as the kernel's vxlan", () => {
  it.each([
    ...["-d link show vxlan0", "-d link show dev vxlan0", "-d -o link show vxlan0", "-s -d link show vxlan0"],
    ...["-s -s -d link show vxlan0", "-d -br link show vxlan0", "-t -d link show vxlan0", "-details l ls vxlan0"],
    ...[
      "-d addr show vxlan0",
      "-d -o addr show vxlan0",
      "-d a s vxlan0",
      "-d -br a show vxlan0",
      "-d -4 a show vxlan0",
    ],
    ...["link show type vxlan", "-br link show type vxlan", "-o link show type vxlan", "-d link show type vxlan up"],
    ...[
      "addr show type vxlan",
      "-br addr show type vxlan",
      "-br -4 addr show type vxlan",
      "link show vxlan0 type vxlan",
    ],
    ...["link show master br0", "-d link show master br0", "-br link show master br0 type vxlan"],
    ...["link show type geneve", "addr show vxlan0", "link show vxlan0", "-s link show vxlan0"],
  ])("ip %s", (words) => {
    const [own, real] = both(words).map(plainText);
    expect(own).toBe(real);
    if (!words.includes("geneve")) expect(own).toContain("vxlan0");
  });

  it.each([
    ...["-d link show vxlan0", "-d addr show vxlan0", "-d -p link show vxlan0", "-d -s link show vxlan0"],
    ...["link show type vxlan", "-br link show type vxlan", "addr show type vxlan", "-d link show master br0"],
  ])("ip -j %s", (words) => {
    const [own, real] = both(`-j ${words}`).map((text) => plain(JSON.parse(text)));
    expect(own).toEqual(real);
    expect(JSON.stringify(own)).toContain("vxlan0");
  });
});

describe("ip tunnel", () => {
  it("prl: the routers of an ISATAP tunnel, the default one first", () => {
    ours.run("ip tunnel add isa0 mode isatap local 192.0.2.1 ttl 64");
    ours.run("ip tunnel prl prl-default 192.0.2.8 dev isa0");
    ours.run("ip tunnel prl prl-nodefault 192.0.2.7 dev isa0");
    const shown = "isa0: ipv6/ip remote any local 192.0.2.1 pdr 192.0.2.8 pr 192.0.2.7 ttl 64\n";
    expect(ours.run("ip tunnel show isa0")).toBe(shown);
    expect(ours.run("ip tunnel show")).toContain(shown);
    ours.run("ip tunnel prl prl-delete 192.0.2.7 dev isa0");
    expect(ours.run("ip tunnel show isa0")).toContain(" pdr 192.0.2.8 ttl 64\n");
    ours.run("ip tunnel del isa0");
  });

  it("6rd: a prefix instead of 2002::/16, and back", () => {
    ours.run("ip tunnel add sit6 mode sit local 192.0.2.1 ttl 64");
    ours.run("ip tunnel 6rd dev sit6 6rd-prefix 2001:db8::/32 6rd-relay_prefix 192.0.0.0/8");
    const before = "sit6: ipv6/ip remote any local 192.0.2.1 ttl 64 6rd-prefix";
    expect(ours.run("ip tunnel show sit6")).toBe(`${before} 2001:db8::/32 6rd-relay_prefix 192.0.0.0/8\n`);
    ours.run("ip tunnel 6rd dev sit6 6rd-reset");
    expect(ours.run("ip tunnel show sit6")).toBe(`${before} 2002::/16\n`);
    ours.run("ip tunnel del sit6");
  });

  it("shows those over IPv6 to who asks for them, flags on lines of their own, or with -o on one", () => {
    ours.run("ip -6 addr add 2001:db8::1/64 dev eth0 nodad");
    ours.run("ip -6 tunnel add six0 mode ip6gre remote 2001:db8::9 local 2001:db8::1 flowlabel 0x12345 key 7");
    ours.run("ip tunnel add gre1 mode gre remote 192.0.2.6 local 192.0.2.1 ttl 9 csum");
    const four = "gre1: gre/ip remote 192.0.2.6 local 192.0.2.1 ttl 9";
    expect(ours.run("ip tunnel show")).toBe(
      `${four}\n  Checksum in received packet is required.\n  Checksum output packets.\n`,
    );
    expect(ours.run("ip -o tunnel show")).toContain(`${four}\\  Checksum in received packet is required.\\`);
    expect(ours.run("ip -6 tunnel show")).toContain(
      "six0: gre/ipv6 remote 2001:db8::9 local 2001:db8::1 encaplimit none",
    );
    expect(ours.run("ip -6 tunnel show")).not.toContain("gre1");
    expect(ours.run("ip -s tunnel show gre1")).toContain(
      "RX: Packets    Bytes        Errors CsumErrs OutOfSeq Mcasts\n",
    );
    ours.run("ip tunnel del gre1");
    ours.run("ip -6 tunnel del six0");
  });
});
