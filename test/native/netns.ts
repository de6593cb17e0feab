/** A network namespace of one test, made with `ip netns` and deleted with it. Needs root. */
import { execFileSync } from "node:child_process";

let made = 0;

export class Netns {
  readonly name: string;
  #exists = true;

  /** Loopback is up in a new one. */
  constructor() {
    this.name = `vtepd-native-${process.pid}-${made++}`;
    execFileSync("ip", ["netns", "add", this.name]);
    this.ip("link set lo up");
  }

  /** For `netns` options. */
  get path(): string {
    return `/run/netns/${this.name}`;
  }

  /** Runs `ip` in the namespace and returns its output; the arguments are split at spaces. Throws when it fails. */
  ip(command: string): string {
    return execFileSync("ip", ["-n", this.name, ...command.split(" ")], { encoding: "utf8" });
  }

  /** Makes the namespace an IPv4 router. */
  enableForwarding(): void {
    this.#enable("ipv4/ip_forward");
  }

  /** Makes the namespace an IPv6 router. */
  enableForwarding6(): void {
    this.#enable("ipv6/conf/all/forwarding");
  }

  /** Sets a device up that says nothing by itself: no router solicitations, no multicast reports. */
  upInSilence(device: string): void {
    this.#enable(`ipv6/conf/${device}/disable_ipv6`);
    this.ip(`link set ${device} up`);
  }

  /** A counter of the kernel's by nstat's name, e.g. `IcmpOutDestUnreachs`; throws when there is none. */
  counter(name: string): number {
    const command = ["netns", "exec", this.name, "nstat", "-a", "-s", "-z", "-j", name];
    const { kernel } = JSON.parse(execFileSync("ip", command, { encoding: "utf8" })) as {
      kernel: Record<string, number>;
    };
    const value = kernel[name];
    if (value === undefined) throw new Error(`no kernel counter ${name}`);
    return value;
  }

  #enable(setting: string): void {
    const command = `echo 1 >/proc/sys/net/${setting}`;
    execFileSync("ip", ["netns", "exec", this.name, "sh", "-c", command]);
  }

  /** Deletes the namespace; a second call does nothing. */
  delete(): void {
    if (!this.#exists) return;
    this.#exists = false;
    execFileSync("ip", ["netns", "delete", this.name]);
  }
}
