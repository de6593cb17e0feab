/**
 * The grammar of vtepctl, iproute2's: options before the object, objects and verbs by unique prefix, words of a verb in
 * any order. This one table feeds the parser (command-line.ts) and the help (help.ts).
 */
import { isIP } from "node:net";
import { readHostName } from "../dataplane/host-name.ts";
import { parseMac } from "../wire/mac.ts";

/** Complains about a value in iproute2's words; undefined when it is right. */
type Check = (text: string) => string | undefined;

/** A value of a verb. */
export interface Value {
  /** Name of the value in the parsed command, and its keyword on the command line. */
  readonly key: string;
  /** As the help calls it. */
  readonly placeholder: string;
  readonly check: Check;
  readonly required?: boolean;
}

export interface Verb {
  /** The first one is its name, the others are understood too. */
  readonly names: readonly string[];
  /** May stand without its keyword. */
  readonly operand?: Value;
  /** Stand behind their keyword. */
  readonly values: readonly Value[];
  /** A list: its values stand behind their keywords, the first one of them begins each element. `none` is the empty list. */
  readonly list?: readonly [Value, ...Value[]];
  /** Words that stand alone; a command that has one has it as a value, too. */
  readonly flags?: readonly string[];
  /** Words that say what vtepd does anyway; groups are alternatives in the help. */
  readonly implied?: readonly (readonly string[])[];
  /** Words that somebody may try, and why they are refused. */
  readonly refused?: Readonly<Record<string, string>>;
}

export interface CommandObject {
  readonly name: string;
  readonly summary: string;
  /** The first one is meant when none is given. */
  readonly verbs: readonly Verb[];
}

export type OptionName = "json" | "pretty" | "stats" | "details" | "socket" | "Version" | "help";

export interface Option {
  readonly name: OptionName;
  /** Another spelling that is understood. */
  readonly alias?: string;
  /** Characters that suffice. */
  readonly shortest: number;
  /** Placeholder of its value. */
  readonly value?: string;
  readonly summary: string;
}

const integer =
  (min: number, max: number, complaint: string): Check =>
  (text) =>
    /^\d+$/.test(text) && Number(text) >= min && Number(text) <= max
      ? undefined
      : `argument "${text}" is wrong: ${complaint}`;

const isMac: Check = (text) => (parseMac(text) === undefined ? `Invalid mac address ${text}` : undefined);
const isRemote: Check = (text) =>
  isIP(text) === 0 && readHostName(text) === undefined
    ? `any valid address is expected rather than "${text}".`
    : undefined;
const isAddress: Check = (text) =>
  isIP(text) === 0 ? `any valid address is expected rather than "${text}".` : undefined;
/** dev_valid_name() of the kernel: 1..15 bytes, not `.` or `..`, no slash, colon or white space. */
const isName: Check = (text) =>
  /^[^\s/:]+$/.test(text) && Buffer.byteLength(text) <= 15 && text !== "." && text !== ".."
    ? undefined
    : `argument "${text}" is wrong: not a valid ifname`;

const dev: Value = { key: "dev", placeholder: "DEV", check: isName };
const mac: Value = { key: "lladdr", placeholder: "LLADDR", check: isMac, required: true };
const dst: Value = { key: "dst", placeholder: "{ IP | NAME }", check: isRemote };
const port: Value = { key: "port", placeholder: "PORT", check: integer(1, 65535, "invalid port") };
const vni: Value = { key: "vni", placeholder: "VNI", check: integer(0, 0xffffff, "invalid VNI") };
const via: Value = { key: "via", placeholder: "DEV", check: isName };

const state: Value = {
  key: "state",
  placeholder: "{ learned | static | all }",
  check: (text) =>
    ["learned", "static", "all"].includes(text) ? undefined : `argument "${text}" is wrong: invalid state`,
};
const isSeconds = integer(0, 0x7fffffff, "invalid number of seconds");
const idle: Value = { key: "idle", placeholder: "SECONDS", check: isSeconds };
const age: Value = { key: "age", placeholder: "SECONDS", check: isSeconds };

const SHOW = ["show", "list", "lst"] as const;
const IMPLIED_FDB = [["self"], ["permanent", "static"]] as const;
const REFUSED_FDB = {
  master: '"master" is the FDB of a Linux bridge, which is not vtepd\'s: use `bridge fdb ... master`',
  dynamic: '"dynamic" entries are learned from frames only: make a static one',
} as const;
const NOT_SELECTING = "does not select an entry to delete: give LLADDR, dev and dst";

const changeFdb = (name: string): Verb => ({
  names: [name],
  operand: mac,
  values: [{ ...dev, required: true }, { ...dst, required: true }, port, vni, via],
  flags: ["sticky"],
  implied: IMPLIED_FDB,
  refused: REFUSED_FDB,
});

const to: Value = { key: "to", placeholder: "ADDRESS", check: isAddress, required: true };
const neighbourState: Value = {
  key: "state",
  placeholder: "{ learned | all }",
  check: (text) => (["learned", "all"].includes(text) ? undefined : `argument "${text}" is wrong: invalid state`),
};

const changeNeighbour = (name: string): Verb => ({
  names: [name],
  operand: to,
  values: [mac, { ...dev, required: true }],
  flags: ["router"],
  implied: [["nud"], ["permanent"]],
});

export const OBJECTS: readonly CommandObject[] = [
  {
    name: "link",
    summary: "tunnels",
    verbs: [
      { names: SHOW, operand: dev, values: [] },
      { names: ["rekey"], operand: { ...dev, required: true }, values: [] },
    ],
  },
  {
    name: "fdb",
    summary: "forwarding database",
    verbs: [
      { names: SHOW, values: [dev] },
      changeFdb("add"),
      changeFdb("append"),
      changeFdb("replace"),
      {
        names: ["del", "delete"],
        operand: mac,
        values: [{ ...dev, required: true }, dst],
        implied: IMPLIED_FDB,
        refused: {
          master: REFUSED_FDB.master,
          port: `"port" ${NOT_SELECTING}`,
          vni: `"vni" ${NOT_SELECTING}`,
          via: `"via" ${NOT_SELECTING}`,
        },
      },
      {
        names: ["flush"],
        values: [{ ...dev, required: true }, { ...mac, required: false }, dst, port, vni, state, idle, age],
        implied: [["self"]],
        refused: { master: REFUSED_FDB.master },
      },
    ],
  },
  {
    name: "flood",
    summary: "flood list",
    verbs: [
      { names: SHOW, operand: { ...dev, required: true }, values: [] },
      { names: ["add"], operand: { ...dev, required: true }, values: [{ ...dst, required: true }, port, vni, via] },
      {
        names: ["del", "delete"],
        operand: { ...dev, required: true },
        values: [{ ...dst, required: true }, port, vni, via],
      },
      {
        names: ["set"],
        operand: { ...dev, required: true },
        values: [],
        list: [{ ...dst, required: true }, port, vni, via],
      },
    ],
  },
  {
    name: "neighbour",
    summary: "neighbours, which vtepd answers for",
    verbs: [
      { names: SHOW, values: [dev] },
      changeNeighbour("add"),
      changeNeighbour("replace"),
      { names: ["del", "delete"], operand: to, values: [{ ...dev, required: true }] },
      { names: ["flush"], values: [{ ...dev, required: true }, neighbourState] },
    ],
  },
  { name: "monitor", summary: "what happens, as it happens", verbs: [{ names: SHOW, values: [dev] }] },
  { name: "stats", summary: "counters", verbs: [{ names: SHOW, values: [dev] }] },
  { name: "status", summary: "the daemon itself", verbs: [{ names: SHOW, values: [] }] },
];

export const OPTIONS: readonly Option[] = [
  { name: "json", shortest: 1, summary: "print JSON" },
  { name: "pretty", shortest: 1, summary: "with -json: over several lines" },
  { name: "stats", alias: "statistics", shortest: 1, summary: "print counters and times too" },
  { name: "details", shortest: 1, summary: "accepted as `ip` does; details are always shown" },
  { name: "socket", shortest: 2, value: "PATH", summary: "control socket of the daemon; also VTEPD_SOCKET" },
  { name: "Version", alias: "version", shortest: 1, summary: "print the version" },
  { name: "help", shortest: 1, summary: "print this" },
];
