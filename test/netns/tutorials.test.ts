/**
 * The tunnels of the tutorials, with their own commands around vtepd: GRE and IPIP between two sites whose hosts are behind
 * routers, IPIP with addresses of its own, 6in4. The mirror is the same the other way round.
 *
 *   station 10.20.2.2 -- br0 10.20.2.1, site a 192.0.2.1 === 192.0.2.2 site b, br0 10.20.3.1 -- station 10.20.3.2
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { RunningDaemon } from "../support/daemon.ts";
import { KeyFolder, keyHex, keyLines } from "../support/esp-keys.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { requests } from "../support/requests.ts";

type Edit = (text: string, isMirror: boolean) => string;
type Site = { readonly router: Host; readonly station: Host };

const UNDERLAY = ["192.0.2.1", "192.0.2.2"] as const;
let lab: Lab;
let a: Site;
let b: Site;
let daemons: RunningDaemon[] = [];

/** A scenario file's tunnels, for this end or turned round. @param edit what only a test knows, of one end */
const scenario = (file: string, isMirror: boolean, edit: Edit): string => {
  const text = readFileSync(fileURLToPath(new URL(`../../config/${file}`, import.meta.url)), "utf8");
  const swap: Record<string, string> = { [UNDERLAY[0]]: UNDERLAY[1], [UNDERLAY[1]]: UNDERLAY[0] };
  const mirrored = text.replace(/192\.0\.2\.[12]\b/g, (address) => swap[address]!).replace(/::1\/64/g, "::2/64");
  const { tunnels } = parse(edit(isMirror ? mirrored : text, isMirror)) as { tunnels: object };
  return stringify(tunnels, { collectionStyle: "flow" });
};

const site = (name: string, n: 2 | 3): Site => {
  const router = lab.host(name);
  const station = lab.host(`station-${name}`);
  router.ip("link", "add", "name", "br0", "type", "bridge");
  router.ip("addr", "add", `10.20.${n}.1/24`, "dev", "br0");
  router.ip("link", "set", "dev", "br0", "up");
  lab.wire(router, "veth0", station, "veth00", { mode: "virtual" });
  router.ip("link", "set", "dev", "veth0", "master", "br0");
  station.address("veth00", `10.20.${n}.2/24`);
  station.ip("route", "add", "default", "via", `10.20.${n}.1`, "dev", "veth00");
  router.run("sysctl", ["-qw", "net.ipv4.ip_forward=1"]);
  return { router, station };
};

const start = async (file: string, edit: Edit = (text) => text): Promise<void> => {
  const wanted = [a, b].map(({ router }, n) => RunningDaemon.start(router, scenario(file, n === 1, edit)));
  daemons = await Promise.all(wanted);
};

/** What comes into site b meanwhile, by tcpdump's words. */
const captured = async (filter: string, act: () => void): Promise<string> => {
  const capture = b.router.spawn("tcpdump", ["-l", "-nn", "-v", "-c", "1", "-i", "eth0", ...filter.split(" ")]);
  await capture.waitForOutput(/listening on/);
  act();
  await capture.waitForOutput(/> 10\.20\.3\.2|> 172\.246\.0\.2|> 2001:db8:42::(?:5efe:c000:20)?2/);
  return capture.stdout;
};

beforeEach(() => {
  lab = Lab.create();
  a = site("a", 2);
  b = site("b", 3);
  lab.wire(a.router, "eth0", b.router, "eth0", { addresses: [`${UNDERLAY[0]}/24`, `${UNDERLAY[1]}/24`] });
});

afterEach(async () => {
  await Promise.all(daemons.splice(0).map((daemon) => daemon.stop()));
  await lab.close();
});

describe("tutorials", () => {
  it("GRE point to point: a network behind the other end, with TTL 255 outside", async () => {
    await start("gre-site-to-site.yaml");
    a.router.ip("link", "set", "dev", "gre0", "up");
    a.router.ip("route", "add", "10.20.3.0/24", "dev", "gre0");
    b.router.ip("route", "add", "10.20.2.0/24", "via", UNDERLAY[0], "dev", "gre0", "onlink");
    expect(a.station.run("ping", [...requests(2), "10.20.3.2"])).toContain("ttl=62 ");
    const outside = await captured("ip proto 47 and dst 192.0.2.2", () => {
      a.station.run("ping", ["-c", "1", "-W", "5", "10.20.3.2"]);
    });
    expect(outside).toContain("ttl 255");
    expect(outside).toContain("proto GRE (47)");
  });

  it("IPIP between two bridges: no addresses of its own, gateways are the outer addresses", async () => {
    await start("ipip-site-to-site.yaml");
    a.router.ip("link", "set", "tunl1", "up");
    a.router.ip("route", "add", "10.20.3.0/24", "via", UNDERLAY[1], "dev", "tunl1", "onlink");
    b.router.ip("route", "add", "10.20.2.0/24", "via", UNDERLAY[0], "dev", "tunl1", "onlink");
    expect(a.station.run("ping", [...requests(2), "10.20.3.2"])).toContain("ttl=62 ");
    expect(b.station.run("ping", [...requests(2), "10.20.2.2"])).toContain("ttl=62 ");
    const outside = await captured("ip proto 4 and dst 192.0.2.2", () => {
      a.station.run("ping", ["-c", "1", "-W", "5", "10.20.3.2"]);
    });
    expect(outside).toContain("proto IPIP (4)");
  });

  it("IPIP with addresses in no common subnet: 118 bytes on the wire for 84 inside", async () => {
    await start("ipip-site-to-site.yaml");
    a.router.ip("addr", "add", "172.245.1.1/30", "dev", "tunl1");
    b.router.ip("addr", "add", "172.246.1.1/30", "dev", "tunl1");
    a.router.ip("addr", "add", "172.245.0.2/32", "dev", "lo");
    b.router.ip("addr", "add", "172.246.0.2/32", "dev", "lo");
    a.router.ip("route", "add", "172.246.0.0/24", "via", "172.245.1.2", "dev", "tunl1");
    b.router.ip("route", "add", "172.245.0.0/16", "via", "172.246.1.2", "dev", "tunl1");
    expect(a.router.run("ping", ["-c", "1", "-W", "5", "172.246.0.2"])).toContain(" 0% packet loss");
    const outside = await captured("ip proto 4 and dst 192.0.2.2", () => {
      a.router.run("ping", ["-c", "1", "-W", "5", "172.246.0.2"]);
    });
    expect(outside).toContain("length 104");
    expect(a.router.ip("-o", "link", "show", "tunl1")).toContain(" mtu 1480 ");
  });

  it("6in4: IPv6 over a host that has only IPv4", async () => {
    await start("sit-6in4.yaml");
    expect(a.router.run("ping", ["-6", ...requests(2), "2001:db8:42::2"])).toContain(" 0% packet loss");
    const outside = await captured("ip proto 41 and dst 192.0.2.2", () => {
      a.router.run("ping", ["-6", "-c", "1", "-W", "5", "2001:db8:42::2"]);
    });
    expect(outside).toMatch(/ttl 64.*proto IPv6 \(41\)/);
  });

  it("host-gw: no tunnel, one hop more than on one link", async () => {
    await start("host-gw-site.yaml", (text, isMirror) => (isMirror ? text.replaceAll("10.20.3.0", "10.20.2.0") : text));
    expect(a.station.run("ping", [...requests(2), "10.20.3.2"])).toContain("ttl=62 ");
    const outside = await captured("icmp and dst 10.20.3.2", () => {
      a.station.run("ping", ["-c", "1", "-W", "5", "10.20.3.2"]);
    });
    expect(outside).toContain("proto ICMP (1)");
  });

  it("ISATAP: hosts of a site find each other by the address inside, and their router by its list", async () => {
    const router = "2001:db8:ffff::1";
    await start("isatap-site.yaml", (text, isMirror) =>
      isMirror ? text.replace("potential-routers: [192.0.2.1]", "") : text,
    );
    const far = "2001:db8:42::5efe:192.0.2.2";
    expect(a.router.run("ping", ["-6", ...requests(2), far])).toContain(" 0% packet loss");
    b.router.ip("-6", "addr", "add", `${router}/128`, "dev", "lo");
    a.router.ip("-6", "route", "add", "default", "dev", "is0");
    expect(a.router.run("ping", ["-6", ...requests(2), router])).toContain(" 0% packet loss");
    const outside = await captured("ip proto 41 and dst 192.0.2.2", () => {
      a.router.run("ping", ["-6", "-c", "1", "-W", "5", far]);
    });
    expect(outside).toMatch(/ttl 64.*proto IPv6 \(41\)/);
  });

  it("VTI: a network behind the other end, and nothing of it to be read on the way", async () => {
    const keys = new KeyFolder();
    const [out, back] = [
      { spi: 0x1001, hex: keyHex(1) },
      { spi: 0x1002, hex: keyHex(2) },
    ];
    const files = [keys.write("a", keyLines([back], out)), keys.write("b", keyLines([out], back))];
    try {
      await start("vti-site-to-site.yaml", (text, isMirror) => {
        const own = text.replace("/etc/vtepd/vti1.keys", files[isMirror ? 1 : 0]!);
        return isMirror ? own.replace("10.20.255.1", "10.20.255.2") : own;
      });
      a.router.ip("route", "add", "10.20.3.0/24", "via", "10.20.255.2");
      b.router.ip("route", "add", "10.20.2.0/24", "via", "10.20.255.1");
      expect(a.station.run("ping", [...requests(2), "10.20.3.2"])).toContain("ttl=62 ");
      const capture = b.router.spawn("tcpdump", ["-l", "-nn", "-x", "-c", "1", "-i", "eth0", "ip proto 50"]);
      await capture.waitForOutput(/listening on/);
      a.station.run("ping", ["-c", "1", "-W", "5", "-p", "7665727973656372", "10.20.3.2"]);
      await capture.exited;
      expect(capture.stdout).toContain("ESP(spi=0x00001001");
      expect(capture.stdout.replaceAll(/\s/g, "")).not.toContain("7665727973656372");
    } finally {
      keys.delete();
    }
  });
});
