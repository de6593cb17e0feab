/**
 * A machine with Linux 6.12 of Debian (package linux-image-6.12-cloud-amd64) under emulation (qemu-system-x86; no KVM), a
 * process in a host of the lab. For what user-mode-linux's 6.1 leaves out: tunnels in UDP, fou and GUE.
 *
 *     hub.ip("tuntap", "add", "dev", "to-guest", "mode", "tap");
 *     const guest = await QemuPeer.start(hub, "to-guest");      // the TAP's other end is eth0 in the guest
 *     await guest.run("ip fou add port 5555 ipproto 4");
 *     await guest.stop();
 *
 * Its root is in memory: bash, iproute2, ping and the few programs of PROGRAMS. The NIC has no offloads, so frames come out as
 * from a wire. One emulated processor does about a twentieth of a real one's work.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Answer, GuestConsole, SERVE_CONSOLE } from "./guest-console.ts";
import type { Host } from "./host.ts";
import { initramfs } from "./initramfs.ts";

const KERNELS = "/boot";
const KERNEL = /^vmlinuz-(6\.12\..*)$/;
const MODULES = ["virtio_net", "ip_gre", "ip6_gre", "ipip", "sit", "ip6_tunnel", "fou", "fou6"] as const;
const PROGRAMS = ["base64", "cat", "ethtool", "head", "ip", "ping", "seq", "sha256sum", "stty"] as const;
const MEMORY = "256M";
const BOOT_TIMEOUT_MS = 110_000;
const RUN_TIMEOUT_MS = 60_000;

const SCRIPT = `
stty -F /dev/ttyS0 -echo -opost -icanon
for scope in all default; do echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_dad; done
ip link set lo up
ethtool -K eth0 gro off
ip link set eth0 up
${SERVE_CONSOLE}`;

export class QemuPeer {
  readonly #console: GuestConsole;

  private constructor(console: GuestConsole) {
    this.#console = console;
  }

  /** Boots a guest behind a TAP device of `host`, which must exist and should be up. @param mac of the guest's eth0 */
  static async start(host: Host, tap: string, mac = "02:00:00:00:61:02"): Promise<QemuPeer> {
    const release = readdirSync(KERNELS)
      .map((name) => KERNEL.exec(name)?.[1])
      .find((found) => found !== undefined);
    if (release === undefined) throw new Error(`expected a kernel 6.12 in ${KERNELS}, found none`);
    const folder = mkdtempSync(join(tmpdir(), "vtepd-qemu-"));
    try {
      const image = join(folder, "initramfs");
      writeFileSync(image, initramfs(PROGRAMS, release, MODULES, SCRIPT));
      const child = host.spawn("qemu-system-x86_64", [
        ...`-accel tcg -cpu max -m ${MEMORY} -no-reboot -nographic -nodefaults -serial stdio`.split(" "),
        ...["-kernel", join(KERNELS, `vmlinuz-${release}`), "-initrd", image],
        ...["-append", "console=ttyS0 quiet mitigations=off nokaslr rdinit=/init"],
        ...["-netdev", `tap,id=wire,ifname=${tap},script=no,downscript=no,vnet_hdr=off`],
        ...["-device", `virtio-net-pci,netdev=wire,mac=${mac},romfile=`],
      ]);
      const guest = new GuestConsole(child);
      await guest.started(BOOT_TIMEOUT_MS);
      if (!guest.ready) throw new Error(`Linux did not boot: ${guest.log}`);
      return new QemuPeer(guest);
    } finally {
      // The machine has read it before its first process began.
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Runs a line of bash to its end, whatever its status. stdout and stderr come together. */
  exec(line: string, timeoutMs: number = RUN_TIMEOUT_MS): Promise<Answer> {
    return this.#console.exec(line, timeoutMs);
  }

  /** As `exec`, but returns the output. @throws Error with it when the status is not 0. */
  run(line: string, timeoutMs: number = RUN_TIMEOUT_MS): Promise<string> {
    return this.#console.run(line, timeoutMs);
  }

  /** Ends the machine, whose memory is all it has. Harmless when called twice. */
  async stop(): Promise<void> {
    await this.#console.child.stop();
  }
}
