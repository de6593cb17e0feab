/** 64-byte frames in ready-made VXLAN datagrams at a steady rate, out of one host into the tunnels of another, and how many came out. */
import type { Host } from "../test/support/host.ts";
import { sleep } from "../test/support/wait-for.ts";
import { VXLAN_PORT } from "./arm.ts";
import { LOAD_PROGRAM, type LoadOptions, loadArgs, loadResult, SINK_PORT } from "./load.ts";

const OUTSIDE_MAC = "02:00:00:00:00:02";
const INSIDE = "198.51.100.1";
const OUTSIDE = "198.51.100.2";
const SATURATION_S = 2;
const DRAIN_MS = 300;
const GRACE_MS = 10_000;
/** Between the generator's start and the work, and the least it goes on. */
const LEAD_MS = 300;

export interface Delivery {
  readonly sent: number;
  readonly lost: number;
}

export interface Load {
  /** Runs while `work` does. */
  during<T>(work: () => Promise<T>): Promise<readonly [T, Delivery]>;
}

export class SteadyLoad {
  /** Of every tunnel's device. */
  static readonly MAC = "02:00:00:00:00:01";
  private readonly inside: Host;
  private readonly outside: Host;

  /** @param inside has the tunnels vx1 (VNI 1), vx2 (VNI 2), ... and 192.0.2.1 */
  constructor(inside: Host, outside: Host) {
    this.inside = inside;
    this.outside = outside;
    // Frames of any tunnel are for this host.
    inside.address("lo", `${INSIDE}/32`);
    for (const scope of ["all", "default"]) inside.sysctl(`net.ipv4.conf.${scope}.rp_filter`, 0);
    inside.ip("route", "add", `${OUTSIDE}/32`, "dev", "eth0");
  }

  /** Frames a second that arrive at most, in so many tunnels: the more, the fewer neighbours of one flow there are to merge. */
  async saturation(tunnels: number): Promise<number> {
    await this.run({ rate: 0, tunnels }, () => sleep(SATURATION_S * 250));
    const seconds = SATURATION_S;
    const [, { sent, lost }] = await this.run({ rate: 0, tunnels }, () => sleep(seconds * 1000));
    return (sent - lost) / (seconds + LEAD_MS / 500);
  }

  at(rate: number, tunnels: number): Load {
    return { during: (work) => this.run({ rate, tunnels }, work) };
  }

  private async run<T>(options: LoadOptions, work: () => Promise<T>): Promise<readonly [T, Delivery]> {
    const sink = this.inside.spawn(LOAD_PROGRAM, ["udp-sink", ...loadArgs({ port: SINK_PORT })]);
    await sink.waitForOutput(/^ready/m);
    const fixed = {
      to: "192.0.2.1",
      port: VXLAN_PORT,
      vni: 1,
      size: 64,
      "inner-src-mac": OUTSIDE_MAC,
      "inner-dst-mac": SteadyLoad.MAC,
      "inner-src": OUTSIDE,
      "inner-dst": INSIDE,
      "inner-port": SINK_PORT,
      gso: true,
      seconds: 3600,
    };
    const source = this.outside.spawn(LOAD_PROGRAM, ["vxlan-send", ...loadArgs({ ...fixed, ...options })]);
    await sleep(LEAD_MS);
    const result = await work();
    await sleep(LEAD_MS);
    source.signal("SIGTERM");
    await source.wait(GRACE_MS);
    await sleep(DRAIN_MS);
    await sink.stop();
    const { sent = 0 } = loadResult(source);
    const { received = 0 } = loadResult(sink);
    return [result, { sent, lost: sent - received }];
  }
}
