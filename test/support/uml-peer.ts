/**
 * A machine with a Linux kernel of its own: user-mode-linux 6.1 (Debian package user-mode-linux), a process in a host of
 * the lab. It boots in about two seconds and has vxlan, bridge, 802.1Q and whatever else its modules offer.
 *
 *     hub.ip("tuntap", "add", "dev", "to-guest", "mode", "tap");
 *     const guest = await UmlPeer.start(hub, "to-guest");      // the TAP's other end is eth0 in the guest
 *     await guest.run("ip link add ov0 type vxlan id 42 ...");  // a line of bash; throws when it fails
 *     await guest.stop();
 *
 * The guest's root is this machine's own, read-only (hostfs), so every program of it runs there too; what it writes goes
 * to a tmpfs. Its memory, socket and start script are in one temporary directory that goes with it. Its console is a
 * pipe, used as guest-console.ts says.
 *
 * The NIC is the legacy `tuntap` one, which has no offloads: frames come out as from a wire, checksums finished.
 *
 * user-mode-linux moves its processes' registers by ptrace in an image of fixed size, and panics at its first process
 * where the processor's is larger (AMX). Only then is a shim that pads the image built, and the guest started again.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Child } from "./child.ts";
import { type Answer, GuestConsole, SERVE_CONSOLE } from "./guest-console.ts";
import type { Host } from "./host.ts";

const SHIM_SOURCE = fileURLToPath(new URL("./uml-registers.c", import.meta.url));
const MODULES = "/usr/lib/uml/modules";
const BOOT_TIMEOUT_MS = 60_000;
const RUN_TIMEOUT_MS = 60_000;
const OFF_TIMEOUT_MS = 20_000;

/** The guest's first process. The kernel hands it no arguments, so the folder is written in. */
const initScript = (folder: string): string => `#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TMPDIR=/run TERM=dumb LC_ALL=C
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run
ln -s /proc/self/fd /dev/fd
printf '#!/bin/sh\\nexec modprobe -d ${folder} "$@"\\n' >/run/modprobe
chmod +x /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
echo 1 >/proc/sys/kernel/printk
stty -echo -opost
/run/modprobe -a ipv6 8021q bridge vxlan
for scope in all default; do echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_dad; done
ip link set lo up
ip link set eth0 up
cd /run
${SERVE_CONSOLE}`;

export class UmlPeer {
  readonly #console: GuestConsole;
  readonly #folder: string;
  readonly #onExit = (): void => this.#end();

  private constructor(child: Child, folder: string) {
    this.#console = new GuestConsole(child);
    this.#folder = folder;
    process.on("exit", this.#onExit);
    void child.exited.then(() => this.#end());
  }

  /**
   * Boots a guest behind a TAP device of `host`, which must exist and should be up.
   * @param mac of the guest's eth0 @param memoryMb enough for iproute2 and the like
   */
  static async start(host: Host, tap: string, mac = "02:00:00:00:61:01", memoryMb = 128): Promise<UmlPeer> {
    const plain = UmlPeer.#launch(host, tap, mac, memoryMb);
    await plain.#console.started(BOOT_TIMEOUT_MS);
    if (plain.#console.ready) return plain;
    const padded = UmlPeer.#launch(host, tap, mac, memoryMb, true);
    await padded.#console.started(BOOT_TIMEOUT_MS);
    if (padded.#console.ready) return padded;
    throw new Error(`user-mode-linux did not boot: ${plain.#console.log}\nwith the shim: ${padded.#console.log}`);
  }

  static #launch(host: Host, tap: string, mac: string, memoryMb: number, shim = false): UmlPeer {
    const folder = mkdtempSync(join(tmpdir(), "vtepd-uml-"));
    mkdirSync(join(folder, "lib"));
    symlinkSync(MODULES, join(folder, "lib", "modules"));
    writeFileSync(join(folder, "init"), initScript(folder), { mode: 0o755 });
    const preload = join(folder, "registers.so");
    if (shim) execFileSync("gcc", ["-O2", "-shared", "-fPIC", "-o", preload, SHIM_SOURCE]);
    const kernel = `mem=${memoryMb}M root=/dev/root rootfstype=hostfs rootflags=/ ro quiet init=${folder}/init`;
    const machine = `uml_dir=${folder} umid=guest con=null ssl=null con0=fd:0,fd:1 eth0=tuntap,${tap},${mac}`;
    // A session of its own: its helper processes can then be ended with it, as one process group.
    const child = host.spawn("setsid", ["linux.uml", ...`${kernel} ${machine}`.split(" ")], {
      env: { HOME: folder, TMPDIR: folder, ...(shim ? { LD_PRELOAD: preload } : {}) },
    });
    return new UmlPeer(child, folder);
  }

  /** Runs a line of bash to its end, whatever its status. stdout and stderr come together. */
  exec(line: string, timeoutMs: number = RUN_TIMEOUT_MS): Promise<Answer> {
    return this.#console.exec(line, timeoutMs);
  }

  /** As `exec`, but returns the output. @throws Error with it when the status is not 0. */
  run(line: string, timeoutMs: number = RUN_TIMEOUT_MS): Promise<string> {
    return this.#console.run(line, timeoutMs);
  }

  /** Switches the guest off. Harmless when called twice. */
  async stop(): Promise<void> {
    if (this.#console.child.running) {
      this.#console.off();
      await this.#console.child.wait(OFF_TIMEOUT_MS);
    }
    this.#end();
  }

  /** Ends whatever is left of it, and its folder. */
  #end(): void {
    process.off("exit", this.#onExit);
    try {
      // Pid 0 is a program that did not start; a group of that number would be our own.
      if (this.#console.child.pid > 0) process.kill(-this.#console.child.pid, "SIGKILL");
    } catch {
      // Nothing is left.
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
