/**
 * Open vSwitch with its userspace datapath (Debian package openvswitch-switch; no kernel module) in a host of the lab:
 * ovsdb-server and ovs-vswitchd as programs of that host, files and sockets in a temporary directory that goes with them.
 *
 *     const ovs = await OvsPeer.start(host, "eth0", ["192.0.2.2/24"]);
 *     ovs.vsctl("add-br", "ov0", "--", "set", "bridge", "ov0", "datapath_type=netdev");
 *     ovs.vsctl("add-port", "ov0", "vx0", "--", "set", "interface", "vx0", "type=vxlan", "options:remote_ip=192.0.2.1");
 *
 * The bridge `phy` takes the underlay device over, which must have no address: tunnels find their way by the addresses of
 * `phy`. A bridge's own port is a TAP of the bridge's name in the host, so `ip address add ... dev ov0` makes a station.
 *
 * This datapath drops what comes with an unfinished outer checksum, so the other end of the wire must be wire-like.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Child } from "./child.ts";
import type { Host } from "./host.ts";
import { waitFor } from "./wait-for.ts";

const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";

export class OvsPeer {
  readonly #host: Host;
  readonly #folder: string;
  readonly #children: Child[] = [];
  readonly #onExit = (): void => this.#removeFolder();

  private constructor(host: Host, folder: string) {
    this.#host = host;
    this.#folder = folder;
    process.on("exit", this.#onExit);
  }

  /** @param addresses of the underlay, with prefix lengths */
  static async start(host: Host, underlay: string, addresses: readonly string[]): Promise<OvsPeer> {
    const peer = new OvsPeer(host, mkdtempSync(join(tmpdir(), "vtepd-ovs-")));
    host.run("ovsdb-tool", ["create", peer.#file("conf.db"), SCHEMA]);
    await peer.#spawn("ovsdb-server", peer.#file("conf.db"), `--remote=p${peer.#database}`);
    peer.#vsctl("--no-wait", "init");
    await peer.#spawn("ovs-vswitchd", peer.#database, "--disable-system");
    peer.vsctl(
      "add-br",
      "phy",
      "--",
      "set",
      "bridge",
      "phy",
      "datapath_type=netdev",
      "--",
      "add-port",
      "phy",
      underlay,
    );
    host.ip("link", "set", underlay, "up");
    // The kernel hears the wire too. It must not answer with the wire's MAC for what is the bridge's.
    host.sysctl(`net.ipv4.conf.${underlay}.arp_ignore`, 1);
    for (const address of addresses) host.address("phy", address);
    return peer;
  }

  /** Runs ovs-vsctl, which waits until the switch has done what it says. Returns stdout. */
  vsctl(...args: readonly string[]): string {
    return this.#vsctl(...args);
  }

  /** Runs ovs-appctl: `fdb/show ov0`. Returns stdout. */
  appctl(...args: readonly string[]): string {
    return this.#host.run("ovs-appctl", ["-t", this.#file("ovs-vswitchd.ctl"), "--timeout=10", ...args]);
  }

  /** Runs ovs-ofctl on a bridge: `openflow("add-flow", "ov0", "priority=9,...")`. Returns stdout. */
  openflow(verb: string, bridge: string, ...args: readonly string[]): string {
    return this.#host.run("ovs-ofctl", ["--timeout=10", verb, `unix:${this.#file(`${bridge}.mgmt`)}`, ...args]);
  }

  async stop(): Promise<void> {
    for (const child of this.#children.toReversed()) await child.stop();
    process.off("exit", this.#onExit);
    this.#removeFolder();
  }

  get #database(): string {
    return `unix:${this.#file("db.sock")}`;
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }

  #vsctl(...args: readonly string[]): string {
    return this.#host.run("ovs-vsctl", [`--db=${this.#database}`, "--timeout=10", ...args], { timeoutMs: 15_000 });
  }

  /** Returns when the program's control socket exists. */
  async #spawn(program: string, ...args: readonly string[]): Promise<void> {
    const control = this.#file(`${program}.ctl`);
    const child = this.#host.spawn(program, [...args, `--unixctl=${control}`, "-vconsole:off"], {
      env: {
        OVS_RUNDIR: this.#folder,
        OVS_LOGDIR: this.#folder,
        OVS_DBDIR: this.#folder,
        OVS_SYSCONFDIR: this.#folder,
      },
    });
    this.#children.push(child);
    void child.exited.then(this.#onExit);
    await waitFor(() => existsSync(control) || !child.running, { what: control });
    if (!child.running) throw new Error(`${child.command} ended: ${child.stderr}`);
  }

  #removeFolder(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
