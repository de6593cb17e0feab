/**
 * A tunnel's TAP or TUN: made with name, MAC and MTU in one go, and made again when somebody deletes
 * it, since the configuration says it shall be there. Each queue is polled by one worker; a worker without a queue of its own only writes,
 * through the first. Devices with fewer queues than there are workers begin with different workers, so that many of them
 * are spread over all. The port id stays the same for life; behind it the descriptors change.
 */
import { randomBytes } from "node:crypto";
import { HEADER_PAYLOAD_ETHERNET, HEADER_PAYLOAD_IP, PORT_TAP, PORT_TAP_TX } from "../binding/abi.ts";
import { addon, type TapInfo } from "../binding/addon.ts";
import type { PortChange } from "../dataplane/worker.ts";
import { netnsPath } from "../host/netns.ts";
import { parseMac, toLocalMac } from "../wire/mac.ts";
import type { DeviceSpec, HeldDevice } from "./device-spec.ts";
import type { DeviceStore } from "./device-store.ts";
import { attempt } from "./native-error.ts";
import type { Offload } from "./offload.ts";
import type { Supervisor } from "./supervisor.ts";

/** What a device is made with. */
export interface DeviceParts {
  readonly supervisor: Supervisor;
  readonly offload: Offload;
  readonly store: DeviceStore;
}

export class Device {
  readonly spec: DeviceSpec;
  /** Chosen once, so that a device made again has the address that others have learned. */
  readonly macAddress: Uint8Array;
  private readonly supervisor: Supervisor;
  private readonly offload: Offload;
  private fds: number[] = [];
  private isAttached = false;
  private wantedMtu: number;
  /** What we gave it last. */
  private givenMtu: number;

  private readonly held: HeldDevice | undefined;
  private readonly store: DeviceStore;

  /** @param held a device to take over rather than to make one, if it is one that `suits` */
  constructor(spec: DeviceSpec, { supervisor, offload, store }: DeviceParts, held?: HeldDevice) {
    this.spec = spec;
    this.held = held;
    this.store = store;
    this.wantedMtu = spec.mtu;
    this.givenMtu = spec.mtu;
    this.supervisor = supervisor;
    this.offload = offload;
    this.macAddress =
      held?.macAddress ??
      ((spec.macAddress && parseMac(spec.macAddress)) || toLocalMac(new Uint8Array(randomBytes(6))));
  }

  /** Whether a tunnel's device may become another one's. */
  static suits({ spec, macAddress }: HeldDevice, wanted: DeviceSpec): boolean {
    const isSame = (["name", "kind", "netns", "queues"] as const).every((key) => spec[key] === wanted[key]);
    const mac = wanted.macAddress === undefined ? undefined : parseMac(wanted.macAddress);
    return isSame && (mac === undefined || Buffer.compare(mac, macAddress) === 0);
  }

  /** What it is called now: somebody may have given it another name. */
  get name(): string {
    return this.info()?.name ?? this.spec.name;
  }

  /** What it shall have; somebody else may have given it another. */
  get mtu(): number {
    return this.wantedMtu;
  }

  /** Gives it another MTU, unless it has one that is not ours. Returns whether it did. @throws ERR_SYSCALL */
  changeMtu(mtu: number): boolean {
    this.wantedMtu = mtu;
    if (mtu === this.givenMtu || this.info()?.mtu !== this.givenMtu) return false;
    attempt(`TAP ${this.spec.name}`, () => addon.setTapMtu(this.fds[0]!, mtu));
    this.givenMtu = mtu;
    this.keep();
    return true;
  }

  get queues(): number {
    return this.fds.length;
  }

  /** Whether the kernel may hand over superframes. */
  get makesSuperframes(): boolean {
    return this.offload.tap.offload !== "none";
  }

  /** Makes the device. @throws ERR_NO_TUN, ERR_PERMISSION, ERR_DEVICE_EXISTS, ERR_NETNS_NOT_FOUND, ERR_SYSCALL */
  open(): void {
    const mtu = this.wantedMtu;
    if (this.held !== undefined && this.held.fds.length > 0) {
      this.fds = this.held.fds.splice(0);
      this.givenMtu = this.held.givenMtu;
      if (!this.changeMtu(mtu)) this.keep();
      return;
    }
    const { name, netns, txQueueFrames } = this.spec;
    const tap = attempt(`TAP ${name}`, () =>
      addon.openTap({
        name,
        kind: this.spec.kind,
        queues: this.spec.queues,
        ...this.offload.tap,
        ...(this.spec.kind === "tap" ? { macAddress: this.macAddress } : {}),
        mtu,
        txQueueLength: txQueueFrames,
        up: this.spec.isUp,
        ...(netns === undefined ? {} : { netns: netnsPath(netns) }),
      }),
    );
    this.fds = tap.fds;
    this.givenMtu = mtu;
    this.keep();
  }

  /** Lets the workers poll it. */
  async attach(): Promise<void> {
    const { port, kind } = this.spec;
    const header = kind === "tap" ? HEADER_PAYLOAD_ETHERNET : HEADER_PAYLOAD_IP;
    const { count } = this.supervisor;
    const features = this.offload.tapFeatures;
    const changes = Array.from({ length: count }, (_, worker): PortChange[] => {
      const fd = this.fds[(worker + port) % count];
      return fd === undefined
        ? [{ verb: "add", port, fd: this.fds[0]!, kind: PORT_TAP_TX, header, features }]
        : [{ verb: "add", port, fd, kind: PORT_TAP, header, features }];
    });
    this.isAttached = true;
    await this.supervisor.changePorts(changes);
  }

  async detach(): Promise<void> {
    await Device.detachAll([this], this.supervisor);
  }

  /** Removes the device, if it is still there. Workers must have let go of it. */
  close(): void {
    this.store.remove([{ name: this.spec.name, fds: this.fds.splice(0) }]);
  }

  /** Lets go of the device without an end to it; until `detach`, workers still use it. */
  handOver(): HeldDevice {
    return { spec: this.spec, fds: this.fds.splice(0), macAddress: this.macAddress, givenMtu: this.givenMtu };
  }

  /** Ends devices that nobody has taken over. */
  static removeHeld(held: readonly HeldDevice[], store: DeviceStore): void {
    store.remove(
      held.filter(({ fds }) => fds.length > 0).map(({ spec: { name }, fds }) => ({ name, fds: fds.splice(0) })),
    );
  }

  /** Removes many: one command for each worker, and the kernel's waiting is shared (removeTaps). */
  static async removeAll(devices: readonly Device[], supervisor: Supervisor): Promise<void> {
    try {
      await Device.detachAll(devices, supervisor);
    } finally {
      const [device] = devices;
      device?.store.remove(devices.map(({ spec: { name }, fds }) => ({ name, fds: fds.splice(0) })));
    }
  }

  private keep(): void {
    this.store.keep({ name: this.spec.name, netns: this.spec.netns, mtu: this.givenMtu, fds: this.fds });
  }

  private static async detachAll(devices: readonly Device[], supervisor: Supervisor): Promise<void> {
    const removals: PortChange[] = [];
    for (const device of devices) {
      if (device.isAttached) removals.push({ verb: "remove", port: device.spec.port });
      device.isAttached = false;
    }
    await supervisor.changePorts(Array.from({ length: supervisor.count }, () => removals));
  }

  /** The device as it is now, or undefined when it is gone. */
  info(): TapInfo | undefined {
    const [fd] = this.fds;
    if (fd === undefined) return undefined;
    try {
      return addon.tapInfo(fd);
    } catch {
      return undefined;
    }
  }
}
