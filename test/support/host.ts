/** A host of a test network: one network namespace, the programs in it, the words to set it up. */
import { execFileSync, spawnSync } from "node:child_process";
import { Child, type ChildOptions } from "./child.ts";
import { PATIENCE_MS } from "./wait-for.ts";

export interface ExecOptions {
  /** Text for stdin. */
  readonly input?: string;
  /** Default `PATIENCE_MS`. */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export interface ExecResult {
  /** Exit status; -1 when a signal or the time limit ended the program. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The line that gives a device an address, "192.0.2.1/24" or "2001:db8::1/64". */
export const addressLine = (dev: string, address: string): string =>
  `ip address add ${address} dev ${dev}${address.includes(":") ? " nodad" : ""}`;

export class Host {
  /** The word the test uses for it, e.g. "left". */
  readonly label: string;
  /** Name under /run/netns, unique on this machine. */
  readonly netns: string;
  readonly path: string;
  readonly #children: Child[] = [];

  /** Only `Lab.host` calls this; it also takes the namespace away again. */
  constructor(label: string, netns: string) {
    this.label = label;
    this.netns = netns;
    this.path = `/run/netns/${netns}`;
    execFileSync("ip", ["netns", "add", netns], { stdio: "pipe" });
    // Addresses must be usable at once: no duplicate address detection, no waiting for routers.
    const keys = "disable_ipv6 accept_dad accept_ra router_solicitations";
    this.script([
      `cd /proc/sys/net/ipv6/conf`,
      `for key in ${keys}; do echo 0 >all/$key; echo 0 >default/$key; done`,
      "ip link set lo up",
    ]);
  }

  /** Runs lines of sh here, one process for all of them. @throws Error with all output when one fails */
  script(lines: readonly string[]): void {
    this.run("sh", ["-ec", lines.join("\n")]);
  }

  /** Runs `ip` here and returns stdout. @throws Error with its stderr when it fails. */
  ip(...args: readonly string[]): string {
    return this.run("ip", args);
  }

  /** `ip -json ...`, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: the shape is iproute2's and differs per command; tests look into single fields.
  ipJson(...args: readonly string[]): any {
    const text = this.ip("-json", ...args).trim();
    return text === "" ? [] : JSON.parse(text);
  }

  /** Adds an address and sets the device up. */
  address(dev: string, address: string): void {
    this.script([addressLine(dev, address), `ip link set ${dev} up`]);
  }

  /** Runs a program to its end, whatever its status. */
  exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): ExecResult {
    const result = spawnSync("nsenter", [`--net=${this.path}`, "--", command, ...args], {
      encoding: "utf8",
      input: options.input ?? "",
      timeout: options.timeoutMs ?? PATIENCE_MS,
      killSignal: "SIGKILL",
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, ...options.env },
    });
    const late = result.error === undefined ? "" : `${result.error.message}\n`;
    return { status: result.status ?? -1, stdout: result.stdout ?? "", stderr: `${late}${result.stderr ?? ""}` };
  }

  /** As `exec`, but returns stdout. @throws Error with all output when the status is not 0. */
  run(command: string, args: readonly string[] = [], options: ExecOptions = {}): string {
    const result = this.exec(command, args, options);
    if (result.status !== 0) {
      const words = [command, ...args].join(" ");
      throw new Error(`${this.label}: \`${words}\` ended with ${result.status}: ${result.stderr}${result.stdout}`);
    }
    return result.stdout;
  }

  /** Starts a program that runs beside the test; `Lab.close` stops it if the test does not. */
  spawn(command: string, args: readonly string[] = [], options: ChildOptions = {}): Child {
    // nsenter replaces itself by the program, so the pid is the program's own.
    const child = new Child("nsenter", [`--net=${this.path}`, "--", command, ...args], options);
    this.#children.push(child);
    return child;
  }

  /** Sets net.* of this namespace: `sysctl("net.ipv4.ip_forward", 1)`. For a device with dots in its name use `/` as separator. */
  sysctl(key: string, value: string | number): void {
    const file = key.includes("/") ? key : key.replaceAll(".", "/");
    this.run("tee", [`/proc/sys/${file}`], { input: `${value}\n` });
  }

  /** Programs still running are stopped, the newest first. */
  async stopChildren(): Promise<void> {
    for (const child of this.#children.toReversed()) await child.stop();
  }

  killChildrenNow(): void {
    for (const child of this.#children) child.killNow();
  }

  /** Removes the name; the namespace and its devices go with the last process in it. */
  remove(): void {
    spawnSync("ip", ["netns", "delete", this.netns], { stdio: "ignore" });
  }
}
