/**
 * Watches the tunnels' devices, which others may change or delete at any time.
 *
 * Each second it takes over MAC and MTU of up to DEVICES_PER_TICK devices, in turn (an ioctl each; netlink events would
 * need a listener in every namespace a device was moved to). A device that a worker reports gone is made again, because
 * the configuration says it shall exist: after RETRY_MIN_MS, then at growing intervals, since its namespace may be gone
 * for longer. Each loss and each return is logged once.
 */
import type { Logger } from "pino";
import { VtepdError } from "../errors.ts";
import { setUpDevices } from "./device-setup.ts";
import type { Tunnel } from "./tunnel.ts";
import type { Turns } from "./turns.ts";

const DEVICES_PER_TICK = 64;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 30_000;

export class DeviceWatch {
  private readonly tunnels: ReadonlyMap<string, Tunnel>;
  private readonly turns: Turns;
  private readonly log: Logger;
  /** Told of a tunnel whose device is gone; what it returns ends when the tunnel has, too. Undefined = the device is to come back. */
  onDeleted: (name: string) => Promise<void> | undefined = () => undefined;
  private readonly missing = new Set<Tunnel>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly running = new Set<Promise<void>>();
  private stopped = false;
  private next = 0;

  constructor(tunnels: ReadonlyMap<string, Tunnel>, turns: Turns, log: Logger) {
    this.tunnels = tunnels;
    this.turns = turns;
    this.log = log;
  }

  /** A worker lost the device behind a port. Called once per worker; the first call counts. */
  gone(port: number): void {
    const tunnel = [...this.tunnels.values()].find(({ device }) => device.spec.port === port);
    if (tunnel === undefined || this.stopped || this.missing.has(tunnel)) return;
    this.missing.add(tunnel);
    const link = tunnel.config.name;
    const ended = this.onDeleted(link);
    if (ended === undefined) {
      this.log.warn({ link }, "device was deleted; it will be made again");
      this.retry(tunnel, RETRY_MIN_MS);
      return;
    }
    this.log.warn({ link }, "device was deleted; its tunnel, made by hand, goes with it");
    const ending = ended
      .catch((error: unknown) => this.log.error({ link, err: error }, "the tunnel of a deleted device is still there"))
      .finally(() => {
        this.missing.delete(tunnel);
        this.running.delete(ending);
      });
    this.running.add(ending);
  }

  tick(): void {
    const tunnels = [...this.tunnels.values()];
    for (let n = 0; n < Math.min(DEVICES_PER_TICK, tunnels.length); n++) {
      const tunnel = tunnels[this.next++ % tunnels.length]!;
      if (!this.missing.has(tunnel)) tunnel.followDevice();
    }
  }

  /** Gives up on missing devices; resolves when no attempt is running any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    for (const timer of this.timers) clearTimeout(timer);
    await Promise.all(this.running);
  }

  private retry(tunnel: Tunnel, delayMs: number): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      const attempt = this.turns.take(() => this.reopen(tunnel, delayMs)).finally(() => this.running.delete(attempt));
      this.running.add(attempt);
    }, delayMs);
    this.timers.add(timer);
  }

  private async reopen(tunnel: Tunnel, delayMs: number): Promise<void> {
    const link = tunnel.config.name;
    if (this.stopped || this.tunnels.get(link) !== tunnel) {
      this.missing.delete(tunnel);
      return;
    }
    try {
      await tunnel.reopenDevice();
      await setUpDevices([tunnel]);
      this.missing.delete(tunnel);
      this.log.info({ link }, "device is back");
    } catch (error) {
      if (delayMs === RETRY_MIN_MS) {
        const code = error instanceof VtepdError ? error.code : undefined;
        this.log.error({ link, code, err: error }, "device cannot be made again yet");
      }
      if (!this.stopped) this.retry(tunnel, Math.min(delayMs * 2, RETRY_MAX_MS));
    }
  }
}
