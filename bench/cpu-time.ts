/** CPU time from /proc. The kernel counts in ticks of 10 ms, so a figure needs a second or more of work behind it. */
import { readFileSync } from "node:fs";

/** USER_HZ, fixed at 100 in the kernel's interface to user space. */
const TICKS_PER_SECOND = 100;

/** utime + stime of the processes, all their threads, in seconds. A process that is gone counts 0. */
export const processCpuS = (pids: readonly number[]): number => {
  let ticks = 0;
  for (const pid of pids) {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, "utf8");
      // The program's name, in parentheses, may hold blanks; utime and stime are the 12th and 13th word behind it.
      const words = text.slice(text.lastIndexOf(")") + 2).split(" ");
      ticks += Number(words[11]) + Number(words[12]);
    } catch {
      // Gone.
    }
  }
  return ticks / TICKS_PER_SECOND;
};

export interface MachineCpu {
  /** User, system, interrupt and softirq time of the CPUs, seconds. */
  readonly busyS: number;
  /** Time the hypervisor gave to others, seconds. */
  readonly stolenS: number;
}

export const machineCpu = (cpus: readonly number[]): MachineCpu => {
  const wanted = new Set(cpus.map((cpu) => `cpu${cpu}`));
  let busy = 0;
  let stolen = 0;
  for (const line of readFileSync("/proc/stat", "utf8").split("\n")) {
    const [name = "", user, nice, system, , , irq, softirq, steal] = line.split(/ +/);
    if (!wanted.has(name)) continue;
    busy += Number(user) + Number(nice) + Number(system) + Number(irq) + Number(softirq);
    stolen += Number(steal);
  }
  return { busyS: busy / TICKS_PER_SECOND, stolenS: stolen / TICKS_PER_SECOND };
};

export interface CpuUse {
  /** Of the VTEP programs; undefined when there are none (the kernel's own VTEP). */
  readonly vtepS: number | undefined;
  readonly machineS: number;
  readonly stolenS: number;
}

/** Starts a measurement; the result is called at its end. */
export const measureCpu = (pids: readonly number[], cpus: readonly number[]): (() => CpuUse) => {
  const vtepBefore = processCpuS(pids);
  const before = machineCpu(cpus);
  return () => {
    const after = machineCpu(cpus);
    return {
      vtepS: pids.length === 0 ? undefined : processCpuS(pids) - vtepBefore,
      machineS: after.busyS - before.busyS,
      stolenS: after.stolenS - before.stolenS,
    };
  };
};
