/** vtepd as a user runs it: the built program, a configuration file, the control socket, `vtepctl`. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { StatsJson } from "../../src/control/stats-json.ts";
import type { Child, ExitStatus } from "./child.ts";
import type { ExecResult, Host } from "./host.ts";
import { waitFor } from "./wait-for.ts";

const VTEPD = fileURLToPath(new URL("../../dist/vtepd.js", import.meta.url));
const VTEPCTL = fileURLToPath(new URL("../../dist/vtepctl.js", import.meta.url));
const START_TIMEOUT_MS = 40_000;

export interface DaemonSettings {
  readonly workers?: number;
  /** YAML below `daemon:`, in flow style, e.g. `fdb-capacity: 1024`. */
  readonly daemon?: string;
  /** Before the program, e.g. `--trace-gc`. */
  readonly nodeFlags?: readonly string[];
  /** Behind the program, e.g. `--fresh`. */
  readonly flags?: readonly string[];
  /** Of the control socket; default one of its own. */
  readonly socket?: string;
  /** Texts of the files beside the configuration file (`FILE.d`), by name. */
  readonly dropIns?: Readonly<Record<string, string>>;
}

const writeDropIns = (folder: string, dropIns: Readonly<Record<string, string>>): void => {
  rmSync(folder, { recursive: true, force: true });
  if (Object.keys(dropIns).length > 0) mkdirSync(folder);
  for (const [name, text] of Object.entries(dropIns)) writeFileSync(join(folder, name), text);
};

export interface FdbLine {
  readonly mac: string;
  readonly dst: string;
  readonly state: string;
  readonly port?: number;
  readonly vni?: number;
  readonly viaIf?: string;
  readonly vtepd?: { readonly owner: string };
}

export class RunningDaemon {
  readonly child: Child;
  readonly socket: string;
  /** Its configuration file. */
  readonly file: string;
  private readonly host: Host;
  private readonly write: (tunnels: string) => void;

  private constructor(host: Host, child: Child, socket: string, file: string, write: (tunnels: string) => void) {
    this.host = host;
    this.child = child;
    this.socket = socket;
    this.file = file;
    this.write = write;
  }

  /** Starts vtepd on a host without waiting. @param tunnels YAML of the map below `tunnels:`, in flow style */
  static launch(host: Host, tunnels: string, settings: DaemonSettings = {}): RunningDaemon {
    const folder = mkdtempSync(join(tmpdir(), "vtepd-test-"));
    const socket = settings.socket ?? join(folder, "control.sock");
    const state = `state-directory: ${folder}/state`;
    const own = settings.daemon?.includes("state-directory") === true ? [] : [state];
    const more = [...own, ...(settings.daemon === undefined ? [] : [settings.daemon])]
      .map((key) => `, ${key}`)
      .join("");
    const daemon = `{ control: { socket: ${socket} }, workers: ${settings.workers ?? 1}${more} }`;
    const file = join(folder, "vtepd.yaml");
    const write = (text: string): void => writeFileSync(file, `version: 1\ndaemon: ${daemon}\ntunnels: ${text}\n`);
    write(tunnels);
    writeDropIns(`${file}.d`, settings.dropIns ?? {});
    const child = host.spawn(process.execPath, [
      ...(settings.nodeFlags ?? []),
      VTEPD,
      "--config",
      file,
      ...(settings.flags ?? []),
    ]);
    void child.exited.then(() => rmSync(folder, { recursive: true, force: true }));
    return new RunningDaemon(host, child, socket, file, write);
  }

  /** Writes other tunnels into its configuration file, which it does not read by itself. */
  rewrite(tunnels: string): void {
    this.write(tunnels);
  }

  /** Writes other files into the directory beside its configuration file. */
  rewriteDropIns(dropIns: Readonly<Record<string, string>>): void {
    writeDropIns(`${this.file}.d`, dropIns);
  }

  /** As `launch`, and returns when it forwards. @throws Error with its output when it ends instead */
  static async start(host: Host, tunnels: string, settings: DaemonSettings = {}): Promise<RunningDaemon> {
    const daemon = RunningDaemon.launch(host, tunnels, settings);
    await daemon.child.waitForOutput(/vtepd is forwarding/, START_TIMEOUT_MS);
    return daemon;
  }

  vtepctl(...args: readonly string[]): ExecResult {
    return this.host.exec(process.execPath, [VTEPCTL, "-socket", this.socket, ...args]);
  }

  json<T>(...args: readonly string[]): T {
    const { status, stdout, stderr } = this.vtepctl("-j", ...args);
    if (status !== 0) throw new Error(`vtepctl ${args.join(" ")}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }

  /** What `vtepctl -j` says, too, in a tenth of its processor time: tests ask again and again. */
  #get<T>(path: string): T {
    return JSON.parse(this.host.run("curl", ["-sSf", "--unix-socket", this.socket, `http://vtepd${path}`])) as T;
  }

  /** Without ages. */
  fdb(dev: string): FdbLine[] {
    const entries = this.#get<(FdbLine & { used: number; updated: number })[]>(`/v1/links/${dev}/fdb`);
    return entries.map(({ used: _used, updated: _updated, ...timeless }) => timeless);
  }

  /** Entries that were learned, as `mac dst`. */
  learned(dev: string): string[] {
    return this.fdb(dev)
      .filter(({ state }) => state !== "permanent")
      .map(({ mac, dst }) => `${mac} ${dst}`)
      .sort();
  }

  stats(): StatsJson {
    return this.#get<StatsJson>("/v1/stats");
  }

  /** Drops of all tunnels in one direction, and of all sockets under `socket`. */
  drops(direction: "encap" | "decap" | "socket"): Record<string, number> {
    const { links, sockets = [] } = this.stats();
    const tables =
      direction === "socket" ? sockets.map(({ drops }) => drops) : links.map(({ drops }) => drops[direction]);
    const total: Record<string, number> = {};
    for (const table of tables)
      for (const [reason, count] of Object.entries(table)) total[reason] = (total[reason] ?? 0) + count;
    return total;
  }

  async waitForDrops(direction: "encap" | "decap" | "socket", expected: Record<string, number>): Promise<void> {
    const wanted = JSON.stringify(expected);
    await waitFor(() => JSON.stringify(this.drops(direction)) === wanted, { what: `${direction} drops ${wanted}` });
  }

  stop(): Promise<ExitStatus> {
    return this.child.stop();
  }
}
