/**
 * Runs a program of this folder again inside namespaces of its own and on few CPUs.
 *
 * Private mount, network and PID namespaces: no address, device, namespace name or process of a run is ever visible
 * outside, and when the program ends, however it ends, the kernel takes everything away. CPU affinity is inherited, so
 * the kernel threads that work on behalf of the programs (softirq on a veth) stay on these CPUs too.
 */
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

const MARK = "VTEPD_BENCH_CONFINED";

/** Programs a run needs, with the Debian package of each. */
const NEEDED: Readonly<Record<string, string>> = {
  unshare: "util-linux",
  setpriv: "util-linux",
  nsenter: "util-linux",
  taskset: "util-linux",
  mount: "mount",
  ip: "iproute2",
  ethtool: "ethtool",
  iperf3: "iperf3",
  ping: "iputils-ping",
};

/** What stands in the way of a run, as a sentence for the user, or undefined. */
export const refusal = (programs: readonly string[] = Object.keys(NEEDED)): string | undefined => {
  if (process.getuid?.() !== 0) return "this needs root: it makes network namespaces and TAP devices (try sudo)";
  const missing = programs.filter((name) => spawnSync("which", [name], { stdio: "ignore" }).status !== 0);
  if (missing.length === 0) return undefined;
  const packages = [...new Set(missing.map((name) => NEEDED[name] ?? name))];
  return `missing: ${missing.join(", ")}. Install with: apt-get install ${packages.join(" ")}`;
};

/** The CPUs of this process, e.g. [0, 1]. */
export const ownCpus = (): number[] => {
  const text =
    spawnSync("taskset", ["-pc", String(process.pid)], { encoding: "utf8" })
      .stdout.split(":")
      .at(-1) ?? "";
  return text
    .trim()
    .split(",")
    .flatMap((range) => {
      const [first = 0, last = first] = range.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
};

/**
 * Call it first: returns inside the confinement, and never outside (there it runs the same command line again, confined,
 * and ends with its status). `cpus` = how many; fewer are used when the machine has fewer.
 */
export const confine = (cpus: number): void => {
  if (process.env[MARK] !== undefined) {
    // Here this process is PID 1 of its namespace, and PID 1 gets no signal that it has no handler for.
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));
    return;
  }
  const list = ownCpus().slice(0, Math.min(cpus, availableParallelism())).join(",");
  // tmpfs on /run/netns: `ip netns add` must not leave files on the host.
  const script = 'mkdir -p /run/netns && mount -t tmpfs none /run/netns && ip link set lo up && exec "$@"';
  const namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  // When this process is killed, unshare dies with it and takes the PID namespace along.
  const command = ["--pdeathsig", "KILL", "unshare", ...namespaces];
  const result = spawnSync("setpriv", [...command, "taskset", "-c", list, "sh", "-c", script, "sh", ...self], {
    stdio: "inherit",
    env: { ...process.env, [MARK]: "1" },
  });
  process.exit(result.status ?? 1);
};
