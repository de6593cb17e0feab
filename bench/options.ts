/** The command line of the benchmark. */
import { parseArgs } from "node:util";
import type { WireMode } from "../test/support/lab.ts";
import { chosen, QUICK, QUICK_ARMS, SYSTEM, SYSTEM_ARMS } from "./suite.ts";
import type { Workload } from "./workload.ts";

export const USAGE = `usage: npm run bench -- quick|system|micro|all [options]
       npm run bench -- publish FILE

  quick             three workloads, wire-like, 3 rounds of 1 s, within two minutes: did something break?
  system            all workloads on both underlays, 3 rounds of 2 s
  micro             bench/micro/*.bench.ts
  all               system and micro
  publish FILE      writes tables, charts and latest.json into bench/ from a result of --json

  --arms A,B        ${SYSTEM_ARMS} (of them, those that a workload is for);
                    also vtepd:tunnel, vtepd+gretap and floor+gretap (gre, ipip; vtepd+ipip-fou, vtepd+vti), vtepd@DIR (another checkout's build), NAME#2 (a second, equal arm)
  --modes M,M       wire-like, virtual
  --workloads TEXT  only those with that number (W4) or with TEXT in their name (comma: any of several)
  --rounds N        alternations; --seconds S  length of one measurement
  --cpus N          CPUs for everything together, default 2
  --pin             load on the first CPU, VTEP programs on the last
  --json FILE       the whole result; --publish  as the verb, when the run is over
  --force           run although the machine is not quiet
`;

const SUITES = ["quick", "system", "micro", "all"] as const;
export type Suite = (typeof SUITES)[number];

const MODES: readonly WireMode[] = ["wire-like", "virtual"];

export interface RunOptions {
  readonly verb: Suite;
  readonly arms: readonly string[];
  /** The user named them, so every workload runs them all. */
  readonly armsNamed: boolean;
  readonly modes: readonly WireMode[];
  readonly workloads: readonly Workload[];
  readonly rounds: number;
  readonly seconds: number;
  readonly cpus: number;
  readonly json: string | undefined;
  readonly publish: boolean;
  readonly pin: boolean;
  readonly force: boolean;
}

export type Options = RunOptions | { readonly verb: "help" } | { readonly verb: "publish"; readonly file: string };

const positive = (text: string | undefined, standard: number, name: string): number => {
  const value = text === undefined ? standard : Number(text);
  if (!(value > 0)) throw new Error(`--${name}: expected a positive number, got ${text}`);
  return value;
};

const isSuite = (text: string): text is Suite => (SUITES as readonly string[]).includes(text);

const modesOf = (text: string | undefined, quick: boolean): WireMode[] => {
  const modes = (text?.split(",") ?? (quick ? ["wire-like"] : MODES)) as WireMode[];
  for (const mode of modes) {
    if (!MODES.includes(mode)) throw new Error(`--modes: expected wire-like or virtual, got ${mode}`);
  }
  return modes;
};

/** @throws Error with a sentence for the user */
export const readOptions = (argv: readonly string[]): Options => {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      arms: { type: "string" },
      modes: { type: "string" },
      workloads: { type: "string", default: "" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      cpus: { type: "string" },
      json: { type: "string" },
      publish: { type: "boolean", default: false },
      pin: { type: "boolean", default: false },
      force: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const [verb = "quick", file] = positionals;
  if (values.help) return { verb: "help" };
  if (verb === "publish") {
    if (file === undefined) throw new Error("publish: expected a file that --json has written");
    return { verb, file };
  }
  if (!isSuite(verb)) throw new Error(`expected ${SUITES.join(", ")} or publish, got ${verb}`);
  const quick = verb === "quick";
  const workloads = chosen(quick ? QUICK : SYSTEM, values.workloads.split(","));
  if (workloads.length === 0) throw new Error(`--workloads: there is none with "${values.workloads}"`);
  return {
    verb,
    arms: (values.arms ?? (quick ? QUICK_ARMS : SYSTEM_ARMS)).split(","),
    armsNamed: values.arms !== undefined,
    modes: modesOf(values.modes, quick),
    workloads,
    rounds: Math.round(positive(values.rounds, 3, "rounds")),
    seconds: positive(values.seconds, quick ? 1 : 2, "seconds"),
    cpus: Math.round(positive(values.cpus, 2, "cpus")),
    json: values.json,
    publish: values.publish,
    pin: values.pin,
    force: values.force,
  };
};
