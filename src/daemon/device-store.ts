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
 * While the daemon stops, devices are left (`leave`): closing our descriptors does the rest, whoever holds others.
 */
import { closeSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import type { Logger } from "pino";
import { addon } from "../binding/addon.ts";
import type { DeviceSpec, HeldDevice } from "./device-spec.ts";
import type { Offload } from "./offload.ts";
import type { ServiceManager } from "./service-manager.ts";

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
  /** Our persistent devices and the MTU we gave each. */
  private readonly persistent = new Map<string, number>();
  private isLeaving = false;

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
      if (kept.netns === namespaceKey(spec.netns) && fds.length === spec.queues && fits(fds, spec, offload)) {
        const { macAddress } = addon.tapInfo(fds[0]!);
        this.parts.log.info({ link: spec.name }, "the device of before is in use again");
        return { spec, fds, macAddress: Uint8Array.from(macAddress), givenMtu: kept.mtu };
      }
      this.remove([{ name: spec.name, fds }]);
    } catch (error) {
      this.remove([{ name: spec.name, fds: kept.fds }]);
      this.parts.log.warn({ link: spec.name, err: error }, "the device of before cannot be used; it is made anew");
    }
    return undefined;
  }

  /** A device is there, or has another MTU of ours. */
  keep({ name, netns, mtu, fds }: OpenDevice): void {
    const { manager, list } = this.parts;
    if (manager.isPresent) {
      const names = fds.map((_, queue) => `tap.${name}.${queue}.${namespaceKey(netns)}.${mtu}`);
      const before = this.stored.get(name) ?? [];
      for (const old of before) if (!names.includes(old)) manager.forget(old);
      for (const [queue, stored] of names.entries()) if (!before.includes(stored)) manager.store(stored, fds[queue]!);
      this.stored.set(name, names);
    } else if (list !== undefined && netns === undefined) {
      this.persistent.set(name, mtu);
      try {
        writeList(list, this.persistent);
        addon.setTapPersistent(fds[0]!, 1);
      } catch (error) {
        // Whoever finds a device that no list has takes it for somebody else's.
        this.persistent.delete(name);
        addon.setTapPersistent(fds[0]!, 0);
        this.parts.log.warn({ link: name, list, err: error }, "the device ends with this daemon, nothing can be kept");
      }
    }
  }

  /** Ends devices; or lets go of them, while the daemon stops. */
  remove(devices: readonly { readonly name: string; readonly fds: readonly number[] }[]): void {
    const { manager, list } = this.parts;
    if (this.isLeaving && (manager.isPresent || list !== undefined)) {
      for (const { fds } of devices) for (const fd of fds) closeSync(fd);
      return;
    }
    for (const { name, fds } of devices) {
      for (const stored of this.stored.get(name) ?? []) manager.forget(stored);
      this.stored.delete(name);
      if (this.persistent.delete(name) && fds.length > 0) addon.setTapPersistent(fds[0]!, 0);
    }
    if (list !== undefined && !manager.isPresent) this.writeRest(list);
    addon.removeTaps(Int32Array.from(devices.flatMap(({ fds }) => [...fds])), manager.isPresent);
  }

  /** Ends the devices that nobody has taken: everything that shall be is there now. */
  closeRest(): void {
    for (const [name, { fds }] of this.waiting) {
      this.parts.log.info({ link: name }, "a device of before is of no tunnel any more");
      try {
        const open = fds.length > 0 ? fds : this.attachAny(name);
        this.persistent.set(name, 0);
        this.remove([{ name, fds: open }]);
      } catch (error) {
        this.parts.log.warn({ link: name, err: error }, "a device of before cannot be removed");
      }
    }
    this.waiting.clear();
  }

  /** From now on devices are let go of, not ended. */
  leave(): void {
    this.isLeaving = true;
  }

  /** A name too many in the list does no harm while there is no such device. */
  private writeRest(list: string): void {
    try {
      writeList(list, this.persistent);
    } catch (error) {
      this.parts.log.warn({ list, err: error }, "the list of devices cannot be written");
    }
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
    mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
    writeFileSync(`${path}.new`, JSON.stringify(Object.fromEntries(devices)));
    renameSync(`${path}.new`, path);
  } catch (error) {
    rmSync(`${path}.new`, { force: true }); // half of it would keep a full disk full
    throw error;
  }
};
