/**
 *   left: vtepd, tap "ov0" (VNI 42) 10.42.0.1 --- 192.0.2.1, 2001:db8::1
 *     === 192.0.2.2 .. .5, 2001:db8::3 (raw VTEPs), 192.0.2.53 (name server) :right
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { DnsServer } from "../support/dns-server.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { RawVtep } from "../support/raw-vtep.ts";
import { waitFor } from "../support/wait-for.ts";

const NAME = "vtep.example";
/** The shortest time between two questions for one name, and some more. */
const TTL_MS = 5000;
const MOVE_TIMEOUT_MS = 6 * TTL_MS;
const MAC = "02:00:00:00:00:0a";

let lab: Lab;
let left: Host;
let right: Host;
let dns: DnsServer;
let daemon: RunningDaemon;

beforeEach(async () => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  for (const n of [3, 4, 5, 53]) right.address("eth0", `192.0.2.${n}/24`);
  left.address("eth0", "2001:db8::1/64");
  right.address("eth0", "2001:db8::3/64");
  left.sysctl("net.ipv6.conf.default.disable_ipv6", 1); // no router solicitations from the TAP
  dns = await DnsServer.start(right, "192.0.2.53");
});
afterEach(() => lab.close());

const LOCAL = 'local: [192.0.2.1, "2001:db8::1"]';
const start = async (keys: string, resolver = "resolver: [192.0.2.53]"): Promise<void> => {
  daemon = await RunningDaemon.start(
    left,
    `{ ov0: { mode: vxlan, id: 42, addresses: [10.42.0.1/24], ${keys.includes("local:") ? "" : `${LOCAL}, `}${keys} } }`,
    { daemon: resolver },
  );
};

const raw = (address: string): Promise<RawVtep> => RawVtep.start(right, { address });

interface Link {
  readonly linkinfo: { readonly info_data: { readonly remote?: string } };
  readonly vtepd: {
    readonly flood: readonly string[];
    readonly names: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  };
}
const link = (): Link => daemon.json<Link[]>("link", "show", "ov0")[0]!;
const flood = (): string => link().vtepd.flood.join(" ");
const floodIs = (expected: string): Promise<boolean> =>
  waitFor(() => flood() === expected, { what: `flood list ${expected}`, timeoutMs: MOVE_TIMEOUT_MS });
/** Lines of the log that say so. */
const logged = (message: string): number => daemon.child.stdout.split(message).length - 1;

/** ICMP sequence numbers that a remote VTEP got. */
const sequence = (remote: RawVtep): number[] =>
  remote
    .received()
    .filter(({ bytes }) => bytes.length > 50 && bytes[8 + 23] === 1)
    .map(({ bytes }) => ((bytes[8 + 40] ?? 0) << 8) | (bytes[8 + 41] ?? 0));

describe("a remote VTEP with a host name", () => {
  it("is resolved at start, shown with its name, and sent to", async () => {
    await dns.set(NAME, ["192.0.2.4", "192.0.2.3", "192.0.2.3"]);
    const remotes = await Promise.all(["192.0.2.3", "192.0.2.4"].map(raw));
    await start(`remote: ${NAME}, flood: [192.0.2.2], fdb: [{ mac: "${MAC}", dst: ${NAME}, port: 8472 }]`);
    expect(link()).toMatchObject({
      linkinfo: { info_data: { remote: "192.0.2.3" } },
      vtepd: { flood: ["192.0.2.3", "192.0.2.2"], names: [{ name: NAME, addresses: ["192.0.2.3", "192.0.2.4"] }] },
    });
    expect(daemon.vtepctl("fdb", "show", "dev", "ov0").stdout.split("\n")).toEqual([
      `00:00:00:00:00:00 dst 192.0.2.3 name ${NAME} self permanent`,
      "00:00:00:00:00:00 dst 192.0.2.2 self permanent",
      `${MAC} dst 192.0.2.3 name ${NAME} port 8472 self permanent`,
      "",
    ]);
    expect(daemon.json<object[]>("fdb", "show", "dev", "ov0")[2]).toMatchObject({
      dst: "192.0.2.3",
      vtepd: { owner: "config", name: NAME },
    });
    expect(daemon.vtepctl("flood", "show", "ov0").stdout).toBe(`dst ${NAME}\ndst 192.0.2.2\n`);
    expect(daemon.vtepctl("link", "show", "ov0").stdout).toContain(` name ${NAME} 192.0.2.3 192.0.2.4\n`);
    left.exec("ping", ["-b", "-c", "1", "-W", "0.1", "10.42.0.255"]);
    await remotes[0]!.receive();
    expect(remotes[1]!.received()).toEqual([]);
  });

  it("moves when its TTL is over: nothing is lost to others, and it stays where it is as long as it can", async () => {
    await dns.set(NAME, ["192.0.2.3"], 1);
    const [stays, before, after] = await Promise.all(["192.0.2.2", "192.0.2.3", "192.0.2.4"].map(raw));
    await start(`remote: ${NAME}, flood: [192.0.2.2], fdb: [{ mac: "${MAC}", dst: ${NAME}, vni: 7 }]`);
    // An address more changes nothing: the present one is still right.
    await dns.set(NAME, ["192.0.2.2", "192.0.2.3"], 1);
    await waitFor(() => link().vtepd.names[0]!.addresses.length === 2, { what: "two", timeoutMs: MOVE_TIMEOUT_MS });
    expect(flood()).toBe("192.0.2.3 192.0.2.2");
    const ping = left.spawn("ping", ["-b", "-q", "-i", "0.01", "-W", "0.1", "10.42.0.255"]);
    await waitFor(() => sequence(before!).length > 10, { what: "frames at the first address" });
    await dns.set(NAME, ["192.0.2.4"], 1);
    await floodIs("192.0.2.4 192.0.2.2");
    expect(daemon.fdb("ov0").map(({ dst, vni }) => [dst, vni])).toEqual([
      ["192.0.2.4", undefined],
      ["192.0.2.2", undefined],
      ["192.0.2.4", 7],
    ]);
    const atMove = sequence(after!).length;
    await waitFor(() => sequence(after!).length > atMove + 10, { what: "frames at the second address" });
    ping.signal("SIGINT");
    await ping.exited;
    const sent = Number(/(\d+) packets transmitted/.exec(ping.stdout)![1]);
    const all = Array.from({ length: sent }, (_, n) => n + 1);
    await waitFor(() => sequence(stays!).length >= sent, { what: "all frames at the other remote VTEP" });
    expect(sequence(stays!)).toEqual(all);
    // And the one that moved had each frame once, at either address.
    const moved = (): number[] => [...sequence(before!), ...sequence(after!)].sort((a, b) => a - b);
    await waitFor(() => moved().length >= sent, { what: "all frames at the one that moved" });
    expect(moved()).toEqual(all);
    expect(logged("host name has other addresses")).toBe(2);
    expect(logged("host name has addresses")).toBe(1);
  });

  it("keeps its last address while it cannot be resolved, and says so once", async () => {
    await dns.set(NAME, ["192.0.2.3"], 1);
    await start(`flood: [${NAME}]`);
    await dns.fail(NAME);
    const before = dns.queries(NAME);
    await waitFor(() => logged("its last addresses hold") === 1, { what: "a warning", timeoutMs: MOVE_TIMEOUT_MS });
    await waitFor(() => dns.queries(NAME) > before + 1, { what: "another try", timeoutMs: MOVE_TIMEOUT_MS });
    expect(flood()).toBe("192.0.2.3");
    await dns.set(NAME, [], 1);
    await new Promise((resolve) => setTimeout(resolve, TTL_MS));
    expect(flood()).toBe("192.0.2.3");
    expect(logged("its last addresses hold")).toBe(1);
  });

  it("that is unknown at the start is done without, and taken when it appears", async () => {
    const [second, third] = await Promise.all(["192.0.2.2", "192.0.2.3"].map(raw));
    await start(`remote: ${NAME}, flood: [192.0.2.2], fdb: [{ mac: "${MAC}", dst: ${NAME} }]`);
    expect(logged("host name cannot be resolved yet")).toBe(1);
    expect(daemon.fdb("ov0").map(({ dst }) => dst)).toEqual(["192.0.2.2"]);
    expect(link().linkinfo.info_data).not.toHaveProperty("remote");
    expect(daemon.vtepctl("link", "show", "ov0").stdout).toContain(` name ${NAME} unresolved\n`);
    left.exec("ping", ["-b", "-c", "1", "-W", "0.1", "10.42.0.255"]);
    await second!.receive();
    await dns.set(NAME, ["192.0.2.3"]);
    await floodIs("192.0.2.3 192.0.2.2");
    expect(daemon.fdb("ov0").map(({ mac, dst }) => `${mac} ${dst}`)).toContain(`${MAC} 192.0.2.3`);
    left.exec("ping", ["-b", "-c", "1", "-W", "0.1", "10.42.0.255"]);
    await third!.receive();
    expect(logged("host name cannot be resolved yet")).toBe(1);
  });

  it("in a flood list stands for all its addresses, but ours, each once; and they come and go", async () => {
    await dns.set(NAME, ["192.0.2.1", "192.0.2.4", "192.0.2.3", "192.0.2.2", "2001:db8::3", "239.1.1.1"], 1);
    await start(`flood: [192.0.2.2, ${NAME}]`);
    expect(flood()).toBe("192.0.2.2 192.0.2.3 192.0.2.4");
    await dns.set(NAME, ["192.0.2.5", "192.0.2.4"], 1);
    await floodIs("192.0.2.2 192.0.2.4 192.0.2.5");
    expect(daemon.vtepctl("flood", "show", "ov0").stdout).toBe(`dst 192.0.2.2\ndst ${NAME}\n`);
  });

  it("is of the family that the tunnel has, IPv4 first", async () => {
    await dns.set(NAME, ["192.0.2.3", "2001:db8::3"]);
    await dns.set("six.example", ["2001:db8::3"]);
    await start(`flood: [${NAME}, six.example]`);
    expect(flood()).toBe("192.0.2.3 2001:db8::3");
    await daemon.stop();
    await start(`local: "2001:db8::1", flood: [${NAME}]`);
    expect(flood()).toBe("2001:db8::3");
    await daemon.stop();
    // The family of the other remote VTEP, whose route tells the local address.
    await start(`local: [192.0.2.1], flood: [192.0.2.2, ${NAME}, six.example]`);
    expect(flood()).toBe("192.0.2.2 192.0.2.3");
  });

  it("comes and goes over the control socket", async () => {
    await dns.set(NAME, ["192.0.2.3"], 1);
    await start("flood: [192.0.2.2]");
    const run = (...words: string[]): string => {
      const { status, stdout, stderr } = daemon.vtepctl(...words);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      return stdout;
    };
    run("flood", "add", "ov0", "dst", "VTEP.example");
    // It has its effect when it is answered.
    expect(flood()).toBe("192.0.2.2 192.0.2.3");
    run("fdb", "add", MAC, "dev", "ov0", "dst", NAME);
    run("fdb", "add", "02:00:00:00:00:0b", "dev", "ov0", "dst", "nobody.example");
    expect(daemon.fdb("ov0").map(({ mac, dst }) => `${mac.slice(-2)} ${dst}`)).toEqual([
      "00 192.0.2.2",
      "00 192.0.2.3",
      "0a 192.0.2.3",
    ]);
    expect(link().vtepd.names.map(({ name }) => name)).toEqual([NAME, "nobody.example"]);
    expect(run("fdb", "flush", "dev", "ov0", "state", "static")).toBe("flushed 2\n");
    run("flood", "del", "ov0", "dst", NAME);
    expect(flood()).toBe("192.0.2.2");
    expect(link().vtepd.names).toEqual([]);
    // And nobody asks for it any more. What the name server has said until now is read first.
    await new Promise((resolve) => setTimeout(resolve, 200));
    const before = dns.queries(NAME);
    await new Promise((resolve) => setTimeout(resolve, TTL_MS + 1000));
    expect(dns.queries(NAME)).toBe(before);
  });

  it("may be in /etc/hosts, without name servers of the configuration", async () => {
    left.run("bash", ["-c", 'f=$(mktemp) && echo "192.0.2.4 vtep-in-hosts" >$f && mount --bind $f /etc/hosts']);
    try {
      await start("flood: [vtep-in-hosts]", "log: { level: info }");
      expect(flood()).toBe("192.0.2.4");
    } finally {
      left.run("umount", ["/etc/hosts"]);
    }
  });
});
