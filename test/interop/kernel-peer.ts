/** A peer with a Linux kernel's own vxlan, set up by iproute2: this machine's in a host of the lab, or a guest's. */
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

type RunLine = (line: string) => Promise<string>;

export class KernelPeer implements Peer {
  readonly run: RunLine;
  readonly stop: () => Promise<void>;
  readonly #family: Family;
  readonly #host: number;
  readonly #devices = new Set<string>();

  /** @param host number of the host in the underlay; its `eth0` is there and has its address */
  constructor(run: RunLine, family: Family, host: number, stop: () => Promise<void> = async () => {}) {
    this.run = run;
    this.stop = stop;
    this.#family = family;
    this.#host = host;
  }

  async tunnel(options: PeerTunnel = {}): Promise<void> {
    const { vni = 42, port = 4789, group, fdb = {}, learning, ttl, tos, df, flowLabel, checksum, mtu } = options;
    const { family = this.#family } = options;
    const remotes = group === undefined ? (options.remotes ?? [underlayAddress(family, 1)]) : [];
    const dev = `ov${vni}`;
    const words = [`id ${vni} dstport ${port}`];
    // With `dev` the MTU can be no larger than what that leaves.
    if (mtu === undefined || group !== undefined) words.push("dev eth0");
    if (group === undefined) words.push(`local ${underlayAddress(family, this.#host)}`);
    else words.push(`group ${group}`);
    if (learning === false) words.push("nolearning");
    if (ttl !== undefined) words.push(`ttl ${ttl}`);
    if (tos !== undefined) words.push(`tos ${tosWord(tos)}`);
    if (df !== undefined) words.push(`df ${df ? "set" : "unset"}`);
    if (flowLabel !== undefined) words.push(`flowlabel 0x${flowLabel.toString(16)}`);
    if (checksum !== undefined) words.push(this.#checksumWords(checksum));
    const address = options.address ?? overlay4(this.#host, vni);
    this.#devices.add(dev);
    await this.run(
      [
        `ip link add ${dev} address ${options.mac ?? overlayMac(this.#host)} type vxlan ${words.join(" ")}`,
        ...remotes.map((remote) => `bridge fdb append 00:00:00:00:00:00 dev ${dev} dst ${remote}`),
        ...Object.entries(fdb).map(([mac, dst]) => `bridge fdb add ${mac} dev ${dev} dst ${dst}`),
        ...(mtu === undefined ? [] : [`ip link set ${dev} mtu ${mtu}`]),
        `ip address add ${address}/24 dev ${dev}`,
        `ip address add ${overlay6(this.#host, vni)}/64 dev ${dev} nodad`,
        `ip link set ${dev} up`,
      ].join(" && "),
    );
  }

  async clear(): Promise<void> {
    const lines = [...this.#devices].map((dev) => `ip link delete ${dev}`);
    this.#devices.clear();
    if (lines.length > 0) await this.run(lines.join("; "));
  }

  async remoteOf(mac: string): Promise<string | undefined> {
    return new RegExp(`^${mac} dst (\\S+)`, "m").exec(await this.run("bridge fdb show dev ov42"))?.[1];
  }

  #checksumWords(checksum: boolean): string {
    const no = checksum ? "no" : "";
    if (this.#family === "IPv4") return checksum ? "udpcsum" : "noudpcsum";
    return `${no}udp6zerocsumtx ${no}udp6zerocsumrx`;
  }
}
