/** What a call costs the daemon and its traffic: memory, time of the main thread, frames. */
import { readFileSync, writeFileSync } from "node:fs";
import { unixHttp } from "../test/support/unix-http.ts";
import type { Load } from "./steady-load.ts";

/** To /proc/PID/clear_refs: the peak starts again at what is resident now. */
const RESET_PEAK = "5";

export interface Toll {
  readonly grownMiB: number;
  /** Longest delay of the event loop. */
  readonly blockedMs: number;
  readonly lostText: string;
}

export class TollGate {
  private readonly pid: number;
  private readonly socket: string;

  constructor(pid: number, socket: string) {
    this.pid = pid;
    this.socket = socket;
  }

  async pass<T>(load: Load | undefined, work: () => Promise<T>): Promise<readonly [T, Toll]> {
    const observed = async (): Promise<readonly [T, number, number]> => {
      await this.delayMs(); // starts again
      writeFileSync(`/proc/${this.pid}/clear_refs`, RESET_PEAK);
      const before = this.status("VmRSS");
      const result = await work();
      const grown = this.status("VmHWM") - before;
      return [result, grown / 1024, await this.delayMs()];
    };
    if (load === undefined) {
      const [result, grownMiB, blockedMs] = await observed();
      return [result, { grownMiB, blockedMs, lostText: "-" }];
    }
    const [[result, grownMiB, blockedMs], { sent, lost }] = await load.during(observed);
    return [result, { grownMiB, blockedMs, lostText: `${lost} of ${sent}` }];
  }

  private status(name: string): number {
    return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))?.[1]);
  }

  /** Since the last time it was asked. */
  private async delayMs(): Promise<number> {
    const { text } = await unixHttp({ socket: this.socket, path: "/metrics" });
    return 1000 * Number(/^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(text)?.[1]);
  }
}
