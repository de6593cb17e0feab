/**
 * A column of the second table: vtepd on one host, a peer on the next, which makes its end of each row's tunnel `ov0` anew.
 *
 *   left (vtepd, ov0 10.42.0.1) 192.0.2.1, 2001:db8::1 === 192.0.2.2, 2001:db8::2 peer (ov0 10.42.0.2)
 */
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { OvsPeer } from "../support/ovs-peer.ts";
import { QemuPeer } from "../support/qemu-peer.ts";
import { UmlPeer } from "../support/uml-peer.ts";
import { shell } from "./column.ts";
import { type Family, underlayAddress } from "./peer.ts";
import type { RunLine } from "./pings.ts";
import { addressesOf, type TunnelRow } from "./tunnel-rows.ts";

const ADDRESSES = [`${underlayAddress("IPv4", 2)}/24`, `${underlayAddress("IPv6", 2)}/64`] as const;
const GUEST_PORT = "to-guest";

const outer = ({ mode, underlay }: TunnelRow): Family => underlay ?? (mode.includes("6") ? "IPv6" : "IPv4");

/** The other end, whoever it is. */
export interface TunnelPeer {
  /** Runs a line of bash where its end of the tunnel is. */
  readonly run: RunLine;
  /** Makes its end; with `isWrong`, one that vtepd must not understand. */
  tunnel(row: TunnelRow, isWrong: boolean): Promise<void>;
  /** Takes it away. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts vtepd with one tunnel on host n of the underlay. */
const vtepd = (host: Host, row: TunnelRow, n: number, keys: string | undefined): Promise<RunningDaemon> => {
  const [local, remote] = [underlayAddress(outer(row), n), underlayAddress(outer(row), 3 - n)];
  const more = keys === undefined ? "" : `, ${keys}`;
  const addresses = JSON.stringify(addressesOf(row, n));
  const tunnel = `mode: ${row.mode}, local: "${local}", remote: "${remote}", addresses: ${addresses}${more}`;
  return RunningDaemon.start(host, `{ ov0: { ${tunnel} } }`);
};

const linux = async (guest: UmlPeer | QemuPeer): Promise<TunnelPeer> => {
  const run: RunLine = (line) => guest.run(line);
  await run(`ip address add ${ADDRESSES[0]} dev eth0 && ip address add ${ADDRESSES[1]} dev eth0 nodad`);
  let port: string | undefined;
  return {
    run,
    stop: () => guest.stop(),
    async tunnel(row, isWrong) {
      const words = (isWrong ? row.wrong! : row.peer)
        .replace(" L ", ` ${underlayAddress(outer(row), 2)} `)
        .replace(/ R( |$)/, ` ${underlayAddress(outer(row), 1)} `);
      port = row.fou;
      const lines = [`ip link add ov0 ${words}`, `ip link set ov0 mtu ${row.mtu} up`];
      if (port !== undefined) lines.unshift(`ip fou add ${port}`);
      for (const address of addressesOf(row, 2)) {
        lines.push(`ip address add ${address} dev ov0${address.includes(":") ? " nodad" : ""}`);
      }
      await run(lines.join(" && "));
    },
    async clear() {
      const lines = ["ip link delete ov0 2>/dev/null"];
      if (port !== undefined) lines.push(`ip fou del ${port.replace(/ (ipproto \d+|gue)/, "")} 2>/dev/null`);
      await run(`${lines.join("; ")}; true`);
    },
  };
};

const openVswitch = (host: Host, ovs: OvsPeer): TunnelPeer => ({
  run: shell(host),
  stop: () => ovs.stop(),
  async tunnel(row, isWrong) {
    const words = (isWrong ? row.ovsWrong! : row.ovs!).split(" ");
    const remote = `options:remote_ip="${underlayAddress(outer(row), 1)}"`;
    const bridge = ["add-br", "ov0", "--", "set", "bridge", "ov0", "datapath_type=netdev"];
    const mtu = ["--", "set", "interface", "ov0", `mtu_request=${row.mtu}`];
    const port = ["--", "add-port", "ov0", "ov0-1", "--", "set", "interface", "ov0-1", remote, ...words];
    ovs.vsctl(...bridge, ...mtu, ...port);
    for (const address of addressesOf(row, 2)) host.address("ov0", address);
  },
  async clear() {
    ovs.vsctl("--if-exists", "del-br", "ov0");
  },
});

const second = (host: Host): TunnelPeer => {
  let daemon: RunningDaemon | undefined;
  return {
    run: shell(host),
    async tunnel(row, isWrong) {
      daemon = await vtepd(host, row, 2, isWrong ? row.wrongKeys : (row.mirrored ?? row.keys));
    },
    async clear() {
      await daemon?.stop();
      daemon = undefined;
    },
    async stop() {},
  };
};

export const TUNNEL_COLUMNS = ["user-mode-linux 6.1", "Linux 6.12, emulated", "Open vSwitch", "vtepd"] as const;
export type TunnelColumnName = (typeof TUNNEL_COLUMNS)[number];

/** Whether a peer of the column can be told something that must let nothing pass. */
export const hasWrong = (name: TunnelColumnName, row: TunnelRow): boolean =>
  ({
    "Open vSwitch": row.ovsWrong,
    vtepd: row.wrongKeys,
    "user-mode-linux 6.1": row.wrong,
    "Linux 6.12, emulated": row.wrong,
  })[name] !== undefined;

export class TunnelColumn {
  readonly left: Host;
  readonly onLeft: RunLine;
  readonly peer: TunnelPeer;
  readonly #lab: Lab;
  #daemon: RunningDaemon | undefined;

  private constructor(lab: Lab, left: Host, peer: TunnelPeer) {
    this.#lab = lab;
    this.left = left;
    this.onLeft = shell(left);
    this.peer = peer;
  }

  static async start(name: TunnelColumnName): Promise<TunnelColumn> {
    const lab = Lab.create();
    try {
      return await TunnelColumn.#build(name, lab);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  static async #build(name: TunnelColumnName, lab: Lab): Promise<TunnelColumn> {
    const left = lab.host("left");
    const stations = [{ host: left, addresses: ["192.0.2.1/24", "2001:db8::1/64"] as readonly string[] }];
    if (name === "Open vSwitch" || name === "vtepd") {
      const right = lab.host("peer");
      stations.push({ host: right, addresses: name === "vtepd" ? ADDRESSES : [] });
      lan(lab, stations);
      if (name === "vtepd") return new TunnelColumn(lab, left, second(right));
      return new TunnelColumn(lab, left, openVswitch(right, await OvsPeer.start(right, "eth0", ADDRESSES)));
    }
    const hub = lan(lab, stations);
    hub.ip("tuntap", "add", "dev", GUEST_PORT, "mode", "tap");
    hub.ip("link", "set", GUEST_PORT, "master", "br0", "up");
    const boot = name === "user-mode-linux 6.1" ? UmlPeer.start : QemuPeer.start;
    return new TunnelColumn(lab, left, await linux(await boot(hub, GUEST_PORT)));
  }

  /** Makes both ends. */
  async tunnel(row: TunnelRow): Promise<RunningDaemon> {
    const [daemon] = await Promise.all([vtepd(this.left, row, 1, row.keys), this.peer.tunnel(row, false)]);
    this.#daemon = daemon;
    return daemon;
  }

  /** Makes the peer's end one that vtepd must not understand. */
  async turnWrong(row: TunnelRow): Promise<void> {
    await this.peer.clear();
    await this.peer.tunnel(row, true);
  }

  async clear(): Promise<void> {
    await Promise.all([this.#daemon?.stop(), this.peer.clear()]);
    this.#daemon = undefined;
  }

  async close(): Promise<void> {
    await this.peer.stop();
    await this.#lab.close();
  }
}
