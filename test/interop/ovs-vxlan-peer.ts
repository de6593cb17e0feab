/**
 * Open vSwitch as a peer: for each VNI a bridge whose own port is the station, and one vxlan port for each remote VTEP.
 * These are protected ports, so a flood is not handed on from one tunnel to the next.
 */
import type { Host } from "../support/host.ts";
import type { OvsPeer } from "../support/ovs-peer.ts";
import {
  type Family,
  overlay4,
  overlay6,
  overlayMac,
  type Peer,
  type PeerTunnel,
  tosWord,
  underlayAddress,
} from "./peer.ts";

const HOST = 2;

export class OvsVxlanPeer implements Peer {
  readonly run: (line: string) => Promise<string>;
  readonly #host: Host;
  readonly #ovs: OvsPeer;
  readonly #family: Family;
  readonly #bridges = new Set<string>();

  constructor(run: (line: string) => Promise<string>, host: Host, ovs: OvsPeer, family: Family) {
    this.run = run;
    this.#host = host;
    this.#ovs = ovs;
    this.#family = family;
  }

  async tunnel(options: PeerTunnel = {}): Promise<void> {
    const { vni = 42, port = 4789, fdb = {}, ttl, tos, df, checksum, mtu = 1450 } = options;
    const bridge = `ov${vni}`;
    const common = [`options:key=${vni}`, `options:dst_port=${port}`];
    if (ttl !== undefined) common.push(`options:ttl=${ttl}`);
    if (tos !== undefined) common.push(`options:tos=${tosWord(tos)}`);
    if (df !== undefined) common.push(`options:df_default=${df}`);
    if (checksum !== undefined) common.push(`options:csum=${checksum}`);
    const words = ["add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"];
    words.push(`other-config:hwaddr="${options.mac ?? overlayMac(HOST)}"`);
    words.push("--", "set", "interface", bridge, `mtu_request=${mtu}`);
    const remotes = options.remotes ?? [underlayAddress(this.#family, 1)];
    for (const [index, remote] of remotes.entries()) {
      const name = `${bridge}-${index}`;
      words.push("--", "add-port", bridge, name, "--", "set", "port", name, "protected=true");
      words.push("--", "set", "interface", name, "type=vxlan", `options:remote_ip="${remote}"`, ...common);
    }
    this.#ovs.vsctl(...words);
    this.#bridges.add(bridge);
    for (const [mac, dst] of Object.entries(fdb)) {
      this.#ovs.appctl("fdb/add", bridge, `${bridge}-${remotes.indexOf(dst)}`, "0", mac);
    }
    this.#host.address(bridge, `${options.address ?? overlay4(HOST, vni)}/24`);
    this.#host.address(bridge, `${overlay6(HOST, vni)}/64`);
  }

  async clear(): Promise<void> {
    const words = [...this.#bridges].flatMap((bridge) => ["--", "del-br", bridge]);
    this.#bridges.clear();
    if (words.length > 0) this.#ovs.vsctl(...words);
  }

  async remoteOf(mac: string): Promise<string | undefined> {
    const port = new RegExp(`^ *(\\d+) +\\d+ +${mac} `, "m").exec(this.#ovs.appctl("fdb/show", "ov42"))?.[1];
    if (port === undefined) return undefined;
    const where = `ofport=${port}`;
    return this.#ovs
      .vsctl("--bare", "--columns=options", "find", "interface", where, "type=vxlan")
      .match(/remote_ip=(\S+)/)?.[1];
  }

  stop(): Promise<void> {
    return this.#ovs.stop();
  }
}
