/**
 * The network of a chaos walk, and the one way to call vtepd there.
 *
 *   left: vtepd   eth0 192.0.2.1    === eth0 192.0.2.2    :right: the kernel's vxlan (s0), another vtepd's gretap (s1)
 *                 eth1 198.51.100.1 === eth1 198.51.100.2         nobody; this wire comes and goes
 *                 a small disk for the state directory
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Settings } from "../../src/dataplane/desired-view.ts";
import { temporaryDirectory } from "../support/control-fixture.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { type UnixAnswer, unixHttp, unixJson } from "../support/unix-http.ts";
import type { Random } from "./random.ts";
import { Sentinel } from "./sentinel.ts";
import { LOCAL6, PINNED, PINNED_LOCAL, TAKEN } from "./settings.ts";
import { StateDisk } from "./state-disk.ts";
import { writtenOf } from "./written.ts";

const KEY = 7777;
const SENTINELS: Readonly<Record<string, Settings>> = {
  s0: {
    mode: "vxlan",
    id: 4242,
    local: "192.0.2.1",
    remote: "192.0.2.2",
    macaddress: "02:00:00:00:00:a0",
    addresses: ["10.90.0.1/24"],
  },
  s1: {
    mode: "gretap",
    key: KEY,
    local: "192.0.2.1",
    remote: "192.0.2.2",
    macaddress: "02:00:00:00:00:a1",
    addresses: ["10.91.0.1/24"],
  },
};
export const SENTINEL_NAMES: ReadonlySet<string> = new Set(Object.keys(SENTINELS));

export class World {
  readonly left: Host;
  private readonly right: Host;
  private readonly lab: Lab;
  private readonly folder: string;
  /** Of the state directory. */
  readonly disk: StateDisk;
  /** Decides which file a tunnel is written to. */
  private readonly random: Random;
  private readonly sentinels: readonly Sentinel[];
  private daemon: RunningDaemon | undefined;

  private constructor(lab: Lab, random: Random) {
    this.lab = lab;
    this.random = random;
    this.left = lab.host("left");
    this.right = lab.host("right");
    this.folder = temporaryDirectory();
    this.disk = new StateDisk(join(this.folder, "state"));
    this.sentinels = ["10.90.0.2", "10.91.0.2"].map((address) => new Sentinel(this.left, address));
  }

  static async make(random: Random): Promise<World> {
    const lab = Lab.create();
    try {
      const world = new World(lab, random);
      await world.setUp();
      return world;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  private async setUp(): Promise<void> {
    const { lab, left, right } = this;
    lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
    left.address("eth0", `${LOCAL6}/64`);
    left.ip("link", "add", TAKEN, "type", "bridge");
    this.plug();
    const words = ["type", "vxlan", "id", "4242", "local", "192.0.2.2", "remote", "192.0.2.1", "dstport", "4789"];
    right.ip("link", "add", "s0", ...words);
    right.address("s0", "10.90.0.2/24");
    const gretap = { mode: "gretap", key: KEY, local: "192.0.2.2", remote: "192.0.2.1", addresses: ["10.91.0.2/24"] };
    await RunningDaemon.start(right, JSON.stringify({ s1: gretap }));
  }

  async close(): Promise<void> {
    await this.lab.close();
    this.disk.close();
  }

  get socket(): string {
    return join(this.folder, "control.sock");
  }

  /** How many pings have been answered. */
  get answers(): number {
    return this.sentinels.reduce((sum, { answers }) => sum + answers, 0);
  }

  /** The end of the daemon's log. */
  get log(): string {
    const { stdout = "", stderr = "" } = this.daemon?.child ?? {};
    return `${stdout}${stderr}`.slice(-6000);
  }

  /** @param tunnels of the file, beside the sentinels */
  async start(tunnels: ReadonlyMap<string, Settings>, flags: readonly string[] = []): Promise<void> {
    const daemon = `state-directory: ${this.disk.path}`;
    const { main, dropIns } = writtenOf(this.random, SENTINELS, tunnels);
    this.daemon = await RunningDaemon.start(this.left, main, {
      daemon,
      dropIns,
      flags,
      socket: this.socket,
      workers: 2,
    });
    await Promise.all(this.sentinels.map((sentinel) => sentinel.start()));
  }

  /** Ends the daemon. Returns how many answers the sentinels are missing until then. */
  async stop(): Promise<number> {
    const lost = await this.eachSentinel((sentinel) => sentinel.stop(false));
    const { code } = await this.daemon!.stop();
    if (code !== 0) throw new Error(`vtepd ended with ${code}`);
    return lost;
  }

  async kill(): Promise<number> {
    this.daemon!.child.signal("SIGKILL");
    await this.daemon!.child.exited;
    return this.eachSentinel((sentinel) => sentinel.stop(true));
  }

  /** Answers that the sentinels are missing since the last look. */
  lost(): Promise<number> {
    return this.eachSentinel((sentinel) => sentinel.look());
  }

  call(method: string, path: string, body?: unknown): Promise<UnixAnswer> {
    return unixJson(this.socket, method, path, body);
  }

  /** Brings the text of a file into effect. */
  put(text: string, isDryRun: boolean): Promise<UnixAnswer> {
    const path = `/v1/config?dry-run=${isDryRun}`;
    const headers = { "content-type": "application/yaml" };
    return unixHttp({ socket: this.socket, method: "PUT", path, headers, body: text });
  }

  /** Writes the file, and those beside it. */
  writeFile(tunnels: ReadonlyMap<string, Settings>): void {
    const { main, dropIns } = writtenOf(this.random, SENTINELS, tunnels);
    this.daemon!.rewrite(main);
    this.daemon!.rewriteDropIns(dropIns);
  }

  /** The text of one file that has everything. */
  textOf(tunnels: ReadonlyMap<string, Settings>): string {
    this.daemon!.rewrite(JSON.stringify({ ...SENTINELS, ...Object.fromEntries(tunnels) }));
    return readFileSync(this.daemon!.file, "utf8");
  }

  writeText(text: string): void {
    writeFileSync(this.daemon!.file, text);
  }

  /** Reads the file again, as `systemctl reload` does. */
  hangUp(): void {
    this.daemon!.child.signal("SIGHUP");
  }

  /** The wire that comes and goes. */
  plug(): void {
    this.lab.wire(this.left, PINNED, this.right, PINNED, { addresses: [`${PINNED_LOCAL}/24`, "198.51.100.2/24"] });
  }

  unplug(): void {
    this.left.ip("link", "del", PINNED);
  }

  private async eachSentinel(step: (sentinel: Sentinel) => Promise<number>): Promise<number> {
    const lost = await Promise.all(this.sentinels.map(step));
    return lost.reduce((sum, count) => sum + count, 0);
  }
}
