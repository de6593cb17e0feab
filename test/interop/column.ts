/**
 * A column of the table: vtepd on one host, a peer on the next, and a third host with this machine's vxlan for what needs
 * three. The peer is started once; each test makes the tunnels it needs anew.
 *
 *   left   vtepd        192.0.2.1, 2001:db8::1 -+
 *   peer                192.0.2.2, 2001:db8::2 -+- switch
 *   third  kernel       192.0.2.3, 2001:db8::3 -+
 */
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab, type WireMode } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { OvsPeer } from "../support/ovs-peer.ts";
import { UmlPeer } from "../support/uml-peer.ts";
import { KernelPeer } from "./kernel-peer.ts";
import { OvsVxlanPeer } from "./ovs-vxlan-peer.ts";
import { type Family, overlay4, overlay6, overlayMac, type Peer, type PeerTunnel, underlayAddress } from "./peer.ts";

export const COLUMNS = ["kernel, IPv4", "kernel, IPv6", "Open vSwitch", "user-mode-linux 6.1"] as const;
export type ColumnName = (typeof COLUMNS)[number];

const GUEST_PORT = "to-peer";
const LINE_TIMEOUT_MS = 60_000;

/** Runs lines of bash on a host of the lab. */
export const shell =
  (host: Host) =>
  async (line: string): Promise<string> => {
    const child = host.spawn("bash", ["-c", line]);
    const { code, signal } = await child.wait(LINE_TIMEOUT_MS);
    if (code !== 0)
      throw new Error(`${host.label}: \`${line}\` ended with ${code ?? signal}: ${child.stdout}${child.stderr}`);
    return child.stdout + child.stderr;
  };

export class Column {
  readonly name: ColumnName;
  readonly family: Family;
  readonly left: Host;
  /** Runs a line of bash on the left host. @throws Error with all output when it fails */
  readonly onLeft: (line: string) => Promise<string>;
  /** A host with no wire: for a daemon whose underlay is the left one's. */
  readonly home: Host;
  readonly atHome: (line: string) => Promise<string>;
  readonly hub: Host;
  readonly peer: Peer;
  readonly third: KernelPeer;
  readonly #lab: Lab;
  /** Both ends of every wire that vtepd and the peer have. */
  readonly #devices: readonly (readonly [Host, string])[];
  #daemon: RunningDaemon | undefined;

  private constructor(
    name: ColumnName,
    lab: Lab,
    family: Family,
    left: Host,
    hub: Host,
    peer: Peer,
    third: KernelPeer,
    devices: readonly (readonly [Host, string])[],
  ) {
    this.name = name;
    this.#lab = lab;
    this.family = family;
    this.left = left;
    this.onLeft = shell(left);
    this.home = lab.host("home");
    this.atHome = shell(this.home);
    this.hub = hub;
    this.peer = peer;
    this.third = third;
    this.#devices = devices;
  }

  static async start(name: ColumnName): Promise<Column> {
    const lab = Lab.create();
    try {
      return await Column.#build(name, lab);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  static async #build(name: ColumnName, lab: Lab): Promise<Column> {
    const family: Family = name === "kernel, IPv6" ? "IPv6" : "IPv4";
    const isGuest = name === "user-mode-linux 6.1";
    const [left, third] = [lab.host("left"), lab.host("third")];
    const addresses = (n: number): string[] => [`192.0.2.${n}/24`, `2001:db8::${n}/64`];
    const stations = [
      { host: left, addresses: addresses(1) },
      { host: third, addresses: addresses(3) },
    ];
    const right = isGuest ? undefined : lab.host("peer");
    if (right !== undefined) stations.push({ host: right, addresses: name === "Open vSwitch" ? [] : addresses(2) });
    const hub = lan(lab, stations);
    const devices: [Host, string][] = [
      [left, "eth0"],
      [hub, "to-left"],
    ];
    let peer: Peer;
    if (right === undefined) {
      hub.ip("tuntap", "add", "dev", GUEST_PORT, "mode", "tap");
      hub.ip("link", "set", GUEST_PORT, "master", "br0", "up");
      const guest = await UmlPeer.start(hub, GUEST_PORT);
      peer = new KernelPeer(
        (line) => guest.run(line),
        family,
        2,
        () => guest.stop(),
      );
      await peer.run(
        addresses(2)
          .map((address) => `ip address add ${address} dev eth0`)
          .join(" && "),
      );
    } else {
      devices.push([right, "eth0"], [hub, GUEST_PORT]);
      peer =
        name === "Open vSwitch"
          ? new OvsVxlanPeer(shell(right), right, await OvsPeer.start(right, "eth0", addresses(2)), family)
          : new KernelPeer(shell(right), family, 2);
    }
    return new Column(name, lab, family, left, hub, peer, new KernelPeer(shell(third), family, 3), devices);
  }

  /** Underlay address of host n. */
  at(n: number): string {
    return underlayAddress(this.family, n);
  }

  /**
   * Starts vtepd with one tunnel for each VNI, `ovVNI`.
   * @param keys of each tunnel, YAML; default: the peer is its remote VTEP
   */
  async vtepd(
    keys = `remote: "${this.at(2)}"`,
    vnis: readonly number[] = [42],
    host = this.left,
  ): Promise<RunningDaemon> {
    await this.#daemon?.stop();
    const tunnels = vnis.map((vni) => {
      const local = /\b(group|local):/.test(keys) ? "" : `local: "${this.at(1)}", `;
      const addresses = `addresses: [${overlay4(1, vni)}/24, "${overlay6(1, vni)}/64"]`;
      return `ov${vni}: { mode: vxlan, id: ${vni}, macaddress: "${overlayMac(1)}", ${local}${keys}, ${addresses} }`;
    });
    this.#daemon = await RunningDaemon.start(host, `{ ${tunnels.join(", ")} }`);
    return this.#daemon;
  }

  /** Both ends of a tunnel, the peer's as by default and with these options. */
  async tunnel(keys?: string, options: PeerTunnel = {}): Promise<RunningDaemon> {
    const [daemon] = await Promise.all([this.vtepd(keys), this.peer.tunnel(options)]);
    return daemon;
  }

  /** Whether superframes and unfinished checksums pass between vtepd and the peer. */
  wires(mode: WireMode): void {
    const state = mode === "virtual" ? "on" : "off";
    for (const [host, dev] of this.#devices) {
      host.run("ethtool", ["-K", dev, "tx", state, "tso", state, "gso", state]);
    }
  }

  /** Has the switch mark as congested what it gets from host `from`: ECN of outer packets. */
  congest(from: "left" | "peer"): void {
    const chain = `add chain netdev t i { type filter hook ingress device to-${from} priority 0; }`;
    const rule = `add rule netdev t i udp dport 4789 ${this.family === "IPv4" ? "ip" : "ip6"} ecn set ce`;
    this.hub.run("nft", [`add table netdev t; ${chain}; ${rule}`]);
  }

  /** After each test: everything but the peer itself. */
  async clear(): Promise<void> {
    await Promise.all([this.#daemon?.stop(), this.peer.clear(), this.third.clear()]);
    this.#daemon = undefined;
    this.hub.run("nft", ["flush", "ruleset"]);
  }

  async close(): Promise<void> {
    await this.peer.stop();
    await this.#lab.close();
  }
}
