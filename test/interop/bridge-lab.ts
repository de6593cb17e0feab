/**
 * vtepd's device as a port of a bridge, between two local stations and two remote VTEPs with a station each.
 *
 *   h1 10.42.0.1 ---+                               +- v2: kernel vxlan in a bridge, station 10.42.0.12
 *                   bridge of v1 --- ov0 = vtepd ---+
 *   h2 10.42.0.2 ---+        192.0.2.1, 2001:db8::1 +- v3: the same,                  station 10.42.0.13
 *
 * The stations say nothing by themselves: no IPv6, and no probes of neighbours. So the FDB is what a test makes it.
 */
import { expect } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { sleep } from "../support/wait-for.ts";
import { FrameTally } from "./frame-tally.ts";
import { type Family, underlayAddress } from "./peer.ts";

const STATION_NAMES = ["h1", "h2", "v2", "v3"] as const;
export type Station = (typeof STATION_NAMES)[number];
export const MACS: Readonly<Record<Station, string>> = {
  h1: "02:00:00:00:01:01",
  h2: "02:00:00:00:01:02",
  v2: "02:00:00:00:02:12",
  v3: "02:00:00:00:02:13",
};
export const ADDRESSES: Readonly<Record<Station, string>> = {
  h1: "10.42.0.1",
  h2: "10.42.0.2",
  v2: "10.42.0.12",
  v3: "10.42.0.13",
};
/** A MAC that nobody has. */
export const NOBODY = "02:00:00:00:00:99";
const NOBODY_IP = "10.42.0.99";
export const BURST = 10; // frames
/** Smaller than what any underlay leaves. */
const STATION_MTU = "1430";

/** Device that a station's traffic goes through. */
const deviceOf = (station: Station): string => (station.startsWith("h") ? "eth0" : "br0");

export class BridgeLab {
  readonly lab: Lab;
  readonly hosts: Readonly<Record<Station | "v1", Host>>;
  readonly #family: Family;
  #daemon: RunningDaemon | undefined;

  constructor(family: Family) {
    this.#family = family;
    this.lab = Lab.create();
    const [h1, h2, v1, v2, v3] = ["h1", "h2", "v1", "v2", "v3"].map((label) => this.lab.host(label)) as [
      Host,
      Host,
      Host,
      Host,
      Host,
    ];
    this.hosts = { h1, h2, v1, v2, v3 };
    lan(
      this.lab,
      [v1, v2, v3].map((host, index) => ({
        host,
        addresses: [`192.0.2.${index + 1}/24`, `2001:db8::${index + 1}/64`],
      })),
    );
    for (const host of Object.values(this.hosts)) host.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
    for (const host of [v1, v2, v3]) {
      host.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0");
      host.ip("link", "set", "br0", "up");
    }
    for (const host of [h1, h2]) {
      this.lab.wire(host, "eth0", v1, `to-${host.label}`);
      v1.ip("link", "set", `to-${host.label}`, "master", "br0");
      host.ip("link", "set", "eth0", "mtu", STATION_MTU);
    }
    for (const station of STATION_NAMES) {
      this.hosts[station].ip("link", "set", deviceOf(station), "address", MACS[station]);
      this.hosts[station].address(deviceOf(station), `${ADDRESSES[station]}/24`);
      this.hosts[station].sysctl(`net.ipv4.neigh.${deviceOf(station)}.delay_first_probe_time`, 600);
    }
    this.remotes();
  }

  /** Underlay address of v1, v2 and v3. */
  at(n: number): string {
    return underlayAddress(this.#family, n);
  }

  /** Makes the tunnels of v2 and v3 anew. Each floods to both others. */
  remotes({ vni = 42, port = 4789 } = {}): void {
    for (const n of [2, 3] as const) {
      const host = this.hosts[`v${n}`];
      if (host.exec("ip", ["link", "show", "vx0"]).status === 0) host.ip("link", "delete", "vx0");
      const options = `id ${vni} dstport ${port} local ${this.at(n)}`.split(" ");
      host.ip("link", "add", "vx0", "type", "vxlan", ...options);
      for (const dst of [1, 5 - n]) {
        host.run("bridge", ["fdb", "append", "00:00:00:00:00:00", "dev", "vx0", "dst", this.at(dst)]);
      }
      host.ip("link", "set", "vx0", "master", "br0", "up");
    }
  }

  /** Starts vtepd with v2 and v3 in its flood list, and makes its device a port of the bridge. @param keys YAML */
  async start(keys = "", vni = 42): Promise<RunningDaemon> {
    const common = `mode: vxlan, id: ${vni}, local: "${this.at(1)}", flood: ["${this.at(2)}", "${this.at(3)}"]`;
    this.#daemon = await RunningDaemon.start(this.hosts.v1, `{ ov0: { ${common}, ${keys} } }`);
    this.hosts.v1.ip("link", "set", "ov0", "master", "br0");
    return this.#daemon;
  }

  /** One ping: with more, the last answer would have to come within two round trips. */
  ping(from: Station, to: Station, ...words: readonly string[]): void {
    const said = this.hosts[from].run("ping", ["-c", "1", "-W", "5", ...words, ADDRESSES[to]]);
    expect(said).toContain("1 received, 0% packet loss");
  }

  everybodyPings(): void {
    for (const station of ["h2", "v2", "v3"] as const) {
      this.ping("h1", station);
      this.ping(station, "h1");
    }
    this.ping("v2", "v3");
  }

  /** Has a station send frames to a MAC, and says how many of them must come in at the others: none, if not named. */
  async burst(mac: string, where: Partial<Record<Station, number>>, from: Station = "h1"): Promise<void> {
    const others = STATION_NAMES.filter((station) => station !== from);
    const match = `ether daddr ${mac} ether saddr ${MACS[from]} ip daddr ${NOBODY_IP}`;
    const tallies = others.map((station) => {
      const dev = station.startsWith("h") ? "eth0" : "vx0";
      return [station, new FrameTally(this.hosts[station], dev, match)] as const;
    });
    this.hosts[from].ip("neigh", "replace", NOBODY_IP, "lladdr", mac, "dev", deviceOf(from));
    this.hosts[from].exec("ping", ["-c", String(BURST), "-i", "0.005", "-W", "0.05", NOBODY_IP]);
    for (const [station, tally] of tallies) await tally.reaches(where[station] ?? 0);
    await sleep(50); // one too many would be here by then
    const nowhere = Object.fromEntries(others.map((station) => [station, 0]));
    const counts = Object.fromEntries(tallies.map(([station, tally]) => [station, tally.count]));
    expect(counts).toEqual({ ...nowhere, ...where });
  }

  /** After each test. */
  async clear(): Promise<void> {
    await this.#daemon?.stop();
    for (const host of Object.values(this.hosts)) host.run("nft", ["flush", "ruleset"]);
  }
}
