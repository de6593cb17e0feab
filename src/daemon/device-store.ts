/**
 * Devices that outlive the daemon: an interface that stays keeps its index, addresses, routes and, in the first way, its carrier and
 * what is queued, while one daemon takes another's place.
 *
 * With a service manager its descriptor store holds each queue's descriptor (FDSTORE=1); restarted or crashed, we get them back
 * by name. At a full stop it closes them, and the devices are gone. Without one, `daemon.keep-devices` makes the devices of our own
 * network namespace persistent (TUNSETPERSIST), and a list in the state directory says which are ours.
 *
 * What a name in the store says: `tap.DEVICE.QUEUE.NETNS.MTU`, where NETNS is the CRC of the `netns` that was configured, so that a device that
 * somebody has moved is told from one that is to be elsewhere now, and MTU what we gave it last, so that one given by hand is told
 * from ours. A device that does not fit what is wanted (kind, queues, vnet header, netns) is made anew.
 *
 * While the daemon stops, devices are left (`leave`): closing our descriptors does the rest, whoever holds others. Until the start is over
 * (`settle`) nothing of before is ended either, only let go of: an operator's typo must not cost addresses and routes. What a start
 * made itself goes when it fails.
 */
import { closeSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import type { Logger } from "pino";
import { addon } from "../binding/addon.ts";
import { parseMac } from "../wire/mac.ts";
import type { DeviceSpec, HeldDevice } from "./device-spec.ts";
import type { Offload } from "./offload.ts";
import type { ServiceManager } from "./service-manager.ts";
import { expectWritable } from "./state-directory.ts";

const STORED = /^tap\.(.+)\.(\d+)\.([0-9a-f]{1,8})\.(\d+)$/;

/** A device in our hands. */
export interface OpenDevice {
  readonly name: string;
  readonly netns: string | undefined;
  /** That we gave it. */
  readonly mtu: number;
  readonly fds: readonly number[];
}

interface Kept {
  readonly netns: string;
  readonly mtu: number;
  /** By queue; of persistent devices none is open yet. */
  readonly fds: number[];
}

export interface DeviceStoreParts {
  readonly manager: ServiceManager;
  /** Path of the list of persistent devices; undefined = devices are not made persistent. */
  readonly list: string | undefined;
  /** Names of the devices that there are now. */
  readonly present: ReadonlySet<string>;
  readonly log: Logger;
}

const namespaceKey = (netns: string | undefined): string => crc32(netns ?? "").toString(16);

export class DeviceStore {
  private readonly parts: DeviceStoreParts;
  /** Devices of the daemon before us that nobody has taken yet. */
  private readonly waiting = new Map<string, Kept>();
  /** Names that the service manager has, by device. */
  private readonly stored = new Map<string, string[]>();
  /** Devices of before that are in use, until the start is over. */
  private readonly taken = new Map<string, Kept>();
  /** Our persistent devices and the MTU we gave each. */
  private readonly persistent = new Map<string, number>();
  private isStarting = true;
  private isLeaving = false;
  private hasFailed = false;

  constructor(parts: DeviceStoreParts) {
    this.parts = parts;
    const { manager, list, present } = parts;
    for (const { name, fd } of manager.takeDescriptors()) this.receive(name, fd);
    for (const [name, mtu] of list === undefined ? [] : readList(list)) {
      if (present.has(name)) this.waiting.set(name, { netns: namespaceKey(undefined), mtu, fds: [] });
    }
  }

  /** The device of before for a tunnel's, if there is one that fits. */
  take(spec: DeviceSpec, offload: Offload): HeldDevice | undefined {
    const kept = this.waiting.get(spec.name);
    if (kept === undefined) return undefined;
    this.waiting.delete(spec.name);
    try {
      const fds = kept.fds.length === 0 ? this.attach(spec, offload) : kept.fds;
      const macAddress = Uint8Array.from(addon.tapInfo(fds[0]!).macAddress);
      const isAlike = kept.netns === namespaceKey(spec.netns) && fds.length === spec.queues;
      if (isAlike && hasMac(macAddress, spec) && fits(fds, spec, offload)) {
        this.parts.log.info({ link: spec.name }, "the device of before is in use again");
        if (this.isStarting) this.taken.set(spec.name, kept);
        return { spec, fds, macAddress, givenMtu: kept.mtu };
      }
      this.remove([{ name: spec.name, fds }]);
    } catch (error) {
      const fds = kept.fds.length === 0 ? this.attachAny(spec.name) : kept.fds;
      this.remove([{ name: spec.name, fds }]);
      this.parts.log.warn({ link: spec.name, err: error }, "the device of before cannot be used; it is made anew");
    }
    return undefined;
  }

  /** What was taken and could not be used after all. */
  giveBack({ spec: { name, netns }, fds, givenMtu }: HeldDevice): void {
    if (fds.length === 0) return; // it is in use
    this.taken.delete(name);
    this.waiting.set(name, { netns: namespaceKey(netns), mtu: givenMtu, fds: fds.splice(0) });
  }

  /** A device is there, or has another MTU of ours. */
  keep({ name, netns, mtu, fds }: OpenDevice): void {
    const { manager, list } = this.parts;
    const kept = this.taken.get(name);
    if (kept !== undefined) this.taken.set(name, { ...kept, mtu });
    if (manager.isPresent) {
      const names = fds.map((_, queue) => `tap.${name}.${queue}.${namespaceKey(netns)}.${mtu}`);
      const before = this.stored.get(name) ?? [];
      for (const old of before) if (!names.includes(old)) manager.forget(old);
      for (const [queue, stored] of names.entries()) if (!before.includes(stored)) manager.store(stored, fds[queue]!);
      this.stored.set(name, names);
    } else if (list !== undefined && netns === undefined) {
      // First the list: a device that stays and is in none would be taken for somebody else's.
      const isPersistent = this.persistent.has(name);
      this.persistent.set(name, mtu);
      if (this.write(list) || isPersistent) addon.setTapPersistent(fds[0]!, 1);
      else this.persistent.delete(name);
    }
  }

  /** Ends devices; or lets go of them, while the daemon stops, and of those of before while it starts. */
  remove(devices: readonly { readonly name: string; readonly fds: readonly number[] }[]): void {
    const { manager, list } = this.parts;
    if (this.isLeaving && (manager.isPresent || list !== undefined)) {
      for (const { fds } of devices) for (const fd of fds) closeSync(fd);
      return;
    }
    const ending = devices.filter((device) => !this.isToWait(device));
    for (const { name, fds } of ending) {
      for (const stored of this.stored.get(name) ?? []) manager.forget(stored);
      this.stored.delete(name);
      if (this.persistent.delete(name) && fds.length > 0) addon.setTapPersistent(fds[0]!, 0);
    }
    if (list !== undefined && !manager.isPresent) this.write(list);
    addon.removeTaps(Int32Array.from(ending.flatMap(({ fds }) => [...fds])), manager.isPresent);
  }

  /**
   * Nothing can fail any more that would end the daemon: ends the devices that nobody has taken. @param isAwaited whether there is
   * a tunnel of that name that cannot be made yet
   */
  settle(isAwaited: (name: string) => boolean): void {
    this.isStarting = false;
    this.taken.clear();
    for (const [name, { fds }] of this.waiting) {
      if (isAwaited(name)) continue;
      this.waiting.delete(name);
      this.parts.log.info({ link: name }, "a device of before is of no tunnel any more");
      try {
        const open = fds.length > 0 ? fds : this.attachAny(name);
        this.remove([{ name, fds: open }]);
      } catch (error) {
        this.parts.log.warn({ link: name, err: error }, "a device of before cannot be removed");
      }
    }
  }

  /** From now on devices are let go of, not ended. */
  leave(): void {
    this.isLeaving = true;
  }

  /** Whether an end to it would be too early; then it waits again, for who takes it or for the next start. */
  private isToWait({ name, fds }: { readonly name: string; readonly fds: readonly number[] }): boolean {
    const kept = this.taken.get(name);
    if (this.waiting.has(name)) return true;
    if (kept === undefined || fds.length === 0) return false;
    this.taken.delete(name);
    this.waiting.set(name, { ...kept, fds: [...fds] });
    return true;
  }

  /** Returns whether the list could be written. Those that wait are ours, too. */
  private write(list: string): boolean {
    const waiting = [...this.waiting].map(([name, { mtu }]) => [name, mtu] as const);
    try {
      writeList(list, new Map([...this.persistent, ...waiting]));
      this.hasFailed = false;
    } catch (err) {
      if (!this.hasFailed) this.parts.log.error({ list, err, code: "ERR_JOURNAL" }, "devices cannot be kept");
      this.hasFailed = true;
    }
    return !this.hasFailed;
  }

  private receive(name: string, fd: number): void {
    const [, device, , netns, mtu] = STORED.exec(name) ?? [];
    if (device === undefined) {
      this.parts.log.warn({ name }, "the service manager kept a descriptor that is not ours");
      closeSync(fd);
      return;
    }
    const kept = this.waiting.get(device) ?? { netns: netns!, mtu: Number(mtu), fds: [] };
    kept.fds.push(fd);
    this.waiting.set(device, kept);
    this.stored.set(device, [...(this.stored.get(device) ?? []), name]);
  }

  private attach({ name, kind, queues }: DeviceSpec, offload: Offload): number[] {
    this.persistent.set(name, 0);
    return addon.openTap({ name, kind, queues, ...offload.tap, up: false, attach: true }).fds;
  }

  /** A device that is only to be ended; nobody knows its kind any more. */
  private attachAny(name: string): number[] {
    this.persistent.set(name, 0);
    for (const kind of ["tap", "tun"] as const) {
      for (const vnetHeader of [true, false]) {
        for (const queues of [1, 2]) {
          try {
            return addon.openTap({ name, kind, queues, vnetHeader, up: false, attach: true }).fds;
          } catch {} // another kind
        }
      }
    }
    return [];
  }
}

const hasMac = (mac: Uint8Array, { macAddress }: DeviceSpec): boolean =>
  macAddress === undefined || Buffer.compare(mac, parseMac(macAddress)!) === 0;

const fits = (fds: readonly number[], { kind }: DeviceSpec, { tap }: Offload): boolean =>
  fds.every((fd) => {
    const found = addon.adoptTap({ fd, ...tap });
    return found.kind === kind && found.vnetHeader === tap.vnetHeader;
  });

const readList = (path: string): [string, number][] => {
  try {
    return Object.entries(JSON.parse(readFileSync(path, "utf8")) as Record<string, number>);
  } catch {
    return []; // none yet, or damaged: then a device of that name is refused as anybody's
  }
};

const writeList = (path: string, devices: ReadonlyMap<string, number>): void => {
  try {
    expectWritable(path);
    mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
    writeFileSync(`${path}.new`, JSON.stringify(Object.fromEntries(devices)));
    renameSync(`${path}.new`, path);
  } catch (error) {
    rmSync(`${path}.new`, { force: true }); // half of it would keep a full disk full
    throw error;
  }
};
