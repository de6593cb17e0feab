/** vtepd under a program that plays systemd (service-manager.py): notifications, watchdog and descriptor store. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Child } from "./child.ts";
import type { ExecResult, Host } from "./host.ts";
import { waitFor } from "./wait-for.ts";

const MANAGER = fileURLToPath(new URL("./service-manager.py", import.meta.url));
const VTEPD = fileURLToPath(new URL("../../dist/vtepd.js", import.meta.url));
const VTEPCTL = fileURLToPath(new URL("../../dist/vtepctl.js", import.meta.url));
const START_TIMEOUT_MS = 40_000;

export type Notified = Readonly<Record<string, string>>;

interface Said {
  readonly started?: number;
  readonly exited?: number;
  readonly notify?: Notified;
  readonly from?: number;
  readonly stored?: readonly string[];
}

export interface ServiceSettings {
  /** YAML below `daemon:`, in flow style. */
  readonly daemon?: string;
  /** Environment of the daemon, `NAME=value`. */
  readonly variables?: readonly string[];
  /** Before the program, e.g. `setpriv` and its arguments. */
  readonly before?: readonly string[];
  /** Whether it listens on the control socket for the daemon. */
  readonly listens?: boolean;
}

export class Service {
  readonly child: Child;
  readonly socket: string;
  private readonly host: Host;
  private readonly folder: string;
  private readonly settings: ServiceSettings;

  private constructor(host: Host, tunnels: string, settings: ServiceSettings) {
    this.host = host;
    this.settings = settings;
    this.folder = mkdtempSync(join(tmpdir(), "vtepd-service-"));
    this.socket = join(this.folder, "control.sock");
    this.configure(tunnels);
    const { before = [], listens = false } = settings;
    const variables = [...(settings.variables ?? []), ...(listens ? [`CONTROL=${this.socket}`] : [])];
    const program = [...before, process.execPath, VTEPD, "--config", this.file];
    const address = `@${this.folder}`; // abstract, as systemd's own may be
    this.child = host.spawn("python3", [MANAGER, address, ...variables, "--", ...program]);
    void this.child.exited.then(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  /** Starts vtepd and returns when it says READY=1. @param tunnels YAML of the map below `tunnels:`, in flow style */
  static async start(host: Host, tunnels: string, settings: ServiceSettings = {}): Promise<Service> {
    const service = Service.launch(host, tunnels, settings);
    await service.ready(1);
    return service;
  }

  /** As `start`, without waiting. */
  static launch(host: Host, tunnels: string, settings: ServiceSettings = {}): Service {
    return new Service(host, tunnels, settings);
  }

  /** Path of the configuration. */
  get file(): string {
    return join(this.folder, "vtepd.yaml");
  }

  /** What it has last said about itself. */
  get status(): string | undefined {
    return this.notified.findLast(({ STATUS }) => STATUS !== undefined)?.["STATUS"];
  }

  /** Writes the configuration, for the next start. @param also more below `daemon:` */
  configure(tunnels: string, also?: string, socket: string = this.socket): void {
    const more = [this.settings.daemon ?? [], also ?? []]
      .flat()
      .map((key) => `, ${key}`)
      .join("");
    const daemon = `{ control: { socket: ${socket} }, workers: 2${more} }`;
    writeFileSync(this.file, `version: 1\ndaemon: ${daemon}\ntunnels: ${tunnels}\n`);
  }

  get log(): string {
    return this.child.stderr;
  }

  private get said(): Said[] {
    const complete = this.child.stdout.slice(0, this.child.stdout.lastIndexOf("\n") + 1);
    return complete
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Said);
  }

  /** All that the daemon has told, in order. */
  get notified(): Notified[] {
    return this.said.flatMap(({ notify }) => (notify === undefined ? [] : [notify]));
  }

  /** Who told it. */
  get senders(): number[] {
    return [...new Set(this.said.flatMap(({ from }) => (from === undefined ? [] : [from])))];
  }

  /** Process ids, of each start. */
  get pids(): number[] {
    return this.said.flatMap(({ started }) => (started === undefined ? [] : [started]));
  }

  /** Exit statuses; of a signal, negative. */
  get exits(): number[] {
    return this.said.flatMap(({ exited }) => (exited === undefined ? [] : [exited]));
  }

  /** Names of the descriptors in the store. */
  get stored(): readonly string[] {
    return this.said.findLast(({ stored }) => stored !== undefined)?.stored ?? [];
  }

  /** How often it has told a line, e.g. `READY=1`. */
  count(name: string, value = "1"): number {
    return this.notified.filter((notify) => notify[name] === value).length;
  }

  async waitForStored(names: readonly string[]): Promise<void> {
    const wanted = names.toSorted().join(" ");
    await waitFor(() => this.stored.toSorted().join(" ") === wanted, { what: () => `${wanted}, got ${this.stored}` });
  }

  /** Waits for the nth READY=1. */
  async ready(times: number): Promise<void> {
    const ended = (): boolean => this.pids.length > 0 && this.exits.length >= this.pids.length;
    await waitFor(() => this.count("READY") >= times || ended() || !this.child.running, {
      timeoutMs: START_TIMEOUT_MS,
      what: () => `READY=1: ${this.log}`,
    });
    if (this.count("READY") < times) throw new Error(`vtepd ended before READY=1: ${this.log}`);
  }

  /** Ends the daemon by a signal and returns its exit status. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<number> {
    const { length } = this.exits;
    this.child.write(`kill ${signal}\n`);
    await waitFor(() => this.exits.length > length, { what: `the end by ${signal}` });
    return this.exits.at(-1)!;
  }

  /** Starts the daemon once more, which must end by itself. Returns its exit status. */
  async startInVain(): Promise<number> {
    const { length } = this.exits;
    this.child.write("start\n");
    await waitFor(() => this.exits.length > length, { timeoutMs: 20_000, what: () => `an end: ${this.log}` });
    return this.exits.at(-1)!;
  }

  /** Starts the daemon once more, with what is in the store. */
  async startAgain(): Promise<void> {
    const [started, told] = [this.pids.length, this.count("READY")];
    this.child.write("start\n");
    await waitFor(() => this.pids.length > started, { what: "a new process" });
    await this.ready(told + 1);
  }

  command(line: string): void {
    this.child.write(`${line}\n`);
  }

  vtepctl(...args: readonly string[]): ExecResult {
    return this.host.exec(process.execPath, [VTEPCTL, "-socket", this.socket, ...args]);
  }
}
