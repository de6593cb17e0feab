/**
 * The benchmark: `tsx bench/main.ts [quick|system|micro|all] [options]`; README.md here has method and reading.
 *
 *   quick    three workloads, wire-like underlay, 3 rounds of 1 s: did something break?
 *   system   all workloads on both underlays, 5 rounds of 3 s
 *   micro    bench/micro/*.bench.ts
 *   all      system and micro
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { WireMode } from "../test/support/lab.ts";
import { type Row, runAbba } from "./abba.ts";
import type { Arm } from "./arm.ts";
import { armByLabel } from "./arms/by-label.ts";
import { confine, refusal } from "./confine.ts";
import { describeMachine, unrest } from "./machine.ts";
import { type MicroResult, microText, runMicro } from "./micro.ts";
import { markdownReport, type SystemReport, textReport, writeBetweenMarkers } from "./report.ts";
import type { Workload } from "./workload.ts";
import { requestResponse } from "./workloads/request-response.ts";
import { tcpStream } from "./workloads/tcp-stream.ts";
import { udpLossfree } from "./workloads/udp-lossfree.ts";
import { receiveSaturation, udpSaturation } from "./workloads/udp-saturation.ts";

const USAGE = `usage: tsx bench/main.ts [quick|system|micro|all]
  --arms A,B        default vtepd,floor,kernel; also vtepd@DIR (another checkout's build), NAME#2 (a second, equal arm)
  --modes M,M       wire-like, virtual
  --workloads TEXT  only those whose name has TEXT in it (comma: any of several)
  --rounds N        alternations; --seconds S  length of one measurement
  --cpus N          CPUs for everything together, default 2
  --pin             load on the first CPU, VTEP programs on the last
  --json FILE       the whole result; --markdown  writes the table into bench/README.md
  --force           run although the machine is not quiet
`;

const QUICK: readonly Workload[] = [tcpStream, receiveSaturation(64), requestResponse("udp")];
const SYSTEM: readonly Workload[] = [
  tcpStream,
  udpSaturation(64),
  udpSaturation(1400),
  receiveSaturation(64),
  receiveSaturation(1400),
  udpLossfree(64),
  requestResponse("tcp"),
  requestResponse("udp"),
];
const MODES: readonly WireMode[] = ["wire-like", "virtual"];
const README = fileURLToPath(new URL("./README.md", import.meta.url));

const fail = (text: string): never => {
  process.stderr.write(`bench: ${text}\n`);
  process.exit(1);
};

const readOptions = () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      arms: { type: "string", default: "vtepd,floor,kernel" },
      modes: { type: "string" },
      workloads: { type: "string", default: "" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      cpus: { type: "string", default: "2" },
      json: { type: "string" },
      markdown: { type: "boolean", default: false },
      pin: { type: "boolean", default: false },
      force: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const [suite = "quick"] = positionals;
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  if (!["quick", "system", "micro", "all"].includes(suite))
    throw new Error(`expected quick, system, micro or all, got ${suite}`);
  const number = (text: string | undefined, standard: number, name: string): number => {
    const value = text === undefined ? standard : Number(text);
    if (!(value > 0)) throw new Error(`--${name}: expected a positive number, got ${text}`);
    return value;
  };
  const quick = suite === "quick";
  const modes = (values.modes?.split(",") ?? (quick ? ["wire-like"] : MODES)) as WireMode[];
  for (const mode of modes)
    if (!MODES.includes(mode)) throw new Error(`--modes: expected wire-like or virtual, got ${mode}`);
  const texts = values.workloads.split(",");
  return {
    ...values,
    suite,
    modes,
    workloads: (quick ? QUICK : SYSTEM).filter(({ name }) => texts.some((text) => name.includes(text))),
    rounds: Math.round(number(values.rounds, quick ? 3 : 5, "rounds")),
    seconds: number(values.seconds, quick ? 1 : 3, "seconds"),
    cpus: Math.round(number(values.cpus, 2, "cpus")),
  };
};

type Options = ReturnType<typeof readOptions>;

const progress = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

const runSystem = async (options: Options): Promise<SystemReport> => {
  const arms: Arm[] = [];
  for (const label of options.arms.split(",")) {
    const arm = armByLabel(label);
    const reason = arm.refusal();
    if (reason === undefined) arms.push(arm);
    else progress(`arm ${label} is left out: ${reason}`);
  }
  if (arms.length === 0) throw new Error("no arm can run here");
  const machine = await describeMachine();
  const doubt = unrest(machine);
  if (doubt !== undefined && !options.force) throw new Error(`${doubt}; --force runs all the same and says so`);
  const rows: Row[] = [];
  for (const mode of options.modes) {
    for (const workload of options.workloads) rows.push(await runAbba(workload, arms, { ...options, mode, progress }));
  }
  const command = ["tsx bench/main.ts", ...process.argv.slice(2)].join(" ");
  return {
    machine,
    unrest: doubt,
    command,
    rounds: options.rounds,
    seconds: options.seconds,
    pinned: options.pin,
    rows,
  };
};

const run = async (options: Options): Promise<number> => {
  let system: SystemReport | undefined;
  let micro: MicroResult[] | undefined;
  if (options.suite !== "micro") {
    system = await runSystem(options);
    process.stdout.write(textReport(system));
    if (options.markdown) writeBetweenMarkers(README, markdownReport(system));
  }
  if (options.suite === "micro" || options.suite === "all") {
    micro = runMicro(options.rounds, progress);
    process.stdout.write(`\n${microText(micro)}`);
  }
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ system, micro }, undefined, 1)}\n`);
  const broken = system?.rows.some((row) => row.failures.length > 0) || micro?.some((result) => result.failed);
  return broken ? 1 : 0;
};

/** No trial takes longer than this; one that does is stuck, and its processes go with this one. */
const trialLimitS = (options: Options): number => 60 + 20 * options.seconds;

try {
  const options = readOptions();
  const reason = refusal();
  // Micro benchmarks make no devices; without root they just run wherever the scheduler puts them.
  if (options.suite !== "micro" && reason !== undefined) fail(reason);
  if (reason === undefined) confine(options.cpus);
  const trials = options.modes.length * options.workloads.length * options.arms.split(",").length * options.rounds;
  const limitS = 600 + trials * trialLimitS(options);
  setTimeout(() => fail(`not finished after ${limitS} s: stuck`), limitS * 1000).unref();
  process.exit(await run(options));
} catch (error) {
  fail((error as Error).message);
}
