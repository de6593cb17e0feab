/**
 * What a trial must not be believed without: stolen CPU time, and every counter of something lost, of both hosts, the
 * devices, the VTEPs and the machine. Only differences that are not zero are kept.
 */
import { readFileSync } from "node:fs";
import type { Host } from "../test/support/host.ts";
import { OVERLAY_DEV, UNDERLAY_DEV, type Vtep } from "./arm.ts";
import { machineCpu } from "./cpu-time.ts";

export interface Account {
  /** Time the hypervisor gave to others, seconds over all used CPUs. */
  readonly stolenS: number;
  /** By name, "right.udp.RcvbufErrors". */
  readonly counters: Readonly<Record<string, number>>;
}

/** A host and the VTEP on it, if it has one. */
export interface Counted {
  readonly host: Host;
  readonly vtep: Vtep | undefined;
}

type Counters = Map<string, number>;

const SNMP: Readonly<Record<string, readonly string[]>> = {
  Udp: ["RcvbufErrors", "SndbufErrors", "InCsumErrors", "MemErrors"],
  Tcp: ["RetransSegs", "InCsumErrors"],
};

/** /proc/net/snmp: per protocol one line of names and one of values. What nstat reads too. */
export const parseSnmp = (text: string): Map<string, number> => {
  const counters = new Map<string, number>();
  const lines = text.trim().split("\n");
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const [protocol = "", ...names] = lines[i]?.split(" ") ?? [];
    const [, ...values] = lines[i + 1]?.split(" ") ?? [];
    const key = protocol.replace(":", "");
    for (const [n, name] of names.entries()) counters.set(`${key}.${name}`, Number(values[n]));
  }
  return counters;
};

interface LinkJson {
  readonly ifname: string;
  readonly stats64: Readonly<Record<"rx" | "tx", Readonly<Record<string, number>>>>;
}

/** Of /proc/net/softnet_stat, second column, hexadecimal: packets that a full backlog refused. */
const softnetDropped = (): number =>
  readFileSync("/proc/net/softnet_stat", "utf8")
    .trim()
    .split("\n")
    .reduce((sum, line) => sum + Number.parseInt(line.split(/\s+/)[1] ?? "0", 16), 0);

const readHost = async ({ host, vtep }: Counted, counters: Counters): Promise<void> => {
  const snmp = parseSnmp(host.run("cat", ["/proc/net/snmp"]));
  for (const [protocol, names] of Object.entries(SNMP)) {
    for (const name of names) {
      counters.set(`${host.label}.${protocol.toLowerCase()}.${name}`, snmp.get(`${protocol}.${name}`) ?? 0);
    }
  }
  for (const { ifname, stats64 } of host.ipJson("-s", "link", "show") as LinkJson[]) {
    if (ifname !== OVERLAY_DEV && ifname !== UNDERLAY_DEV) continue;
    for (const way of ["rx", "tx"] as const) {
      counters.set(`${host.label}.${ifname}.${way}_dropped`, stats64[way]["dropped"] ?? 0);
      counters.set(`${host.label}.${ifname}.${way}_errors`, stats64[way]["errors"] ?? 0);
    }
  }
  for (const [reason, count] of Object.entries((await vtep?.control?.drops()) ?? {})) {
    counters.set(`${host.label}.vtep.${reason}`, count);
  }
};

const readAll = async (hosts: readonly Counted[]): Promise<Counters> => {
  const counters: Counters = new Map([["machine.softnet.dropped", softnetDropped()]]);
  for (const host of hosts) await readHost(host, counters);
  return counters;
};

/** Starts an account; the result is called at the end of the trial. */
export const openAccount = async (
  hosts: readonly Counted[],
  cpus: readonly number[],
): Promise<() => Promise<Account>> => {
  const before = await readAll(hosts);
  const { stolenS } = machineCpu(cpus);
  return async () => {
    const counters: Record<string, number> = {};
    for (const [name, value] of await readAll(hosts)) {
      const difference = value - (before.get(name) ?? 0);
      if (difference !== 0) counters[name] = difference;
    }
    return { stolenS: machineCpu(cpus).stolenS - stolenS, counters };
  };
};

/** A lost TCP segment has its own metric; what made it be sent again is in the other counters. */
const NO_DROP = /\.tcp\.RetransSegs$/;
/** Wrong at any load. */
const NEVER = /(InCsumErrors|_errors)$/;

/** Names of the counters that should be zero and are not. Under overload only corruption is a surprise. */
export const unexpectedDrops = ({ counters }: Account, overload: boolean): string[] =>
  Object.keys(counters).filter((name) => !NO_DROP.test(name) && (!overload || NEVER.test(name)));
