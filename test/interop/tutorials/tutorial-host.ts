/**
 * A host of a tutorial: a namespace of the lab with a /run/netns and a /sys of its own, in which the tutorial's lines run as
 * they are, by bash, with the wrappers of `vtepctl shim` first in PATH. Its vtepd comes with the first line that needs it.
 *
 *     const a = await TutorialHost.on(lab.host("a"));
 *     a.run(`ip link add vxlan0 type vxlan id 120 ...
 *            ip addr add 10.16.0.2/24 dev vxlan0`);     // throws when a line fails
 *     await a.stop();                                    // before the lab is closed
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Child } from "../../support/child.ts";
import type { ExecResult, Host } from "../../support/host.ts";
import { waitFor } from "../../support/wait-for.ts";

const VTEPCTL = fileURLToPath(new URL("../../../dist/vtepctl.js", import.meta.url));
/** Several daemons may start meanwhile, on a busy machine. */
const LINES_TIMEOUT_MS = 100_000;

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

export class TutorialHost {
  readonly host: Host;
  readonly #holder: Child;
  readonly #folder: string;

  private constructor(host: Host, holder: Child, folder: string) {
    this.host = host;
    this.#holder = holder;
    this.#folder = folder;
  }

  static async on(host: Host): Promise<TutorialHost> {
    const mounts = "mount -t tmpfs tmpfs /run/netns && mount -t sysfs sysfs /sys && echo ready && exec sleep infinity";
    const holder = host.spawn("unshare", ["--mount", "bash", "-c", mounts]);
    await holder.waitForOutput(/ready/);
    const folder = mkdtempSync(join(tmpdir(), "tutorial-"));
    host.run(process.execPath, [VTEPCTL, "shim", join(folder, "bin")]);
    return new TutorialHost(host, holder, folder);
  }

  get socket(): string {
    return join(this.#folder, "run", "control.sock");
  }

  /** Runs lines until one fails; each is told on standard error. */
  exec(lines: string): ExecResult {
    const options = { timeoutMs: LINES_TIMEOUT_MS, env: this.#env() };
    return this.host.exec("nsenter", [...this.entry(), "bash", "-exc", lines], options);
  }

  /** A program that runs beside the test. */
  spawn(command: string, args: readonly string[]): Child {
    return this.host.spawn("nsenter", [...this.entry(), command, ...args], { env: this.#env() });
  }

  /** What `docker run --network none` comes to: a process whose network is its own, with `lo` only. */
  async container(): Promise<Child> {
    const child = this.spawn("unshare", ["--net", "bash", "-c", "ip link set lo up; echo ready; exec sleep infinity"]);
    await child.waitForOutput(/ready/);
    return child;
  }

  /** What has to stand behind `nsenter` for its mounts. */
  entry(): string[] {
    return [`--mount=/proc/${this.#holder.pid}/ns/mnt`];
  }

  #env(): Record<string, string> {
    return {
      PATH: `${join(this.#folder, "bin")}:${process.env["PATH"]}`,
      VTEPD_SOCKET: this.socket,
      VTEPD_HOME: String(this.#holder.pid),
    };
  }

  /** Returns standard output. @throws Error with the lines up to the one that failed */
  run(lines: string): string {
    const { status, stdout, stderr } = this.exec(lines);
    if (status === 0) return stdout;
    throw new Error(`${this.host.label}: the last line ended with ${status}:\n${stderr}${stdout}${this.#logs()}`);
  }

  #logs(): string {
    return this.host.exec("bash", ["-c", `tail -n 5 ${this.#folder}/run/*.log`]).stdout;
  }

  /** Ends its daemons. */
  async stop(): Promise<void> {
    const files =
      this.host.exec("ls", [join(this.#folder, "run")]).status === 0 ? readdirSync(join(this.#folder, "run")) : [];
    for (const file of files.filter((name) => name.endsWith(".sock"))) {
      const socket = join(this.#folder, "run", file);
      const { stdout } = this.host.exec(process.execPath, [VTEPCTL, "-socket", socket, "-j", "status"]);
      const { pid } = JSON.parse(stdout || "{}") as { pid?: number };
      if (pid === undefined) continue;
      process.kill(pid, "SIGTERM");
      await waitFor(() => !isRunning(pid), { what: `the end of vtepd ${pid}`, timeoutMs: LINES_TIMEOUT_MS });
    }
    await this.#holder.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
