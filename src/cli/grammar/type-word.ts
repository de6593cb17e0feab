/** What the words of types come to: how each kind of word changes a tunnel's settings. */
import { isIPv4 } from "node:net";
import { ipVersion, isName, isRemote, number, orWord } from "./check.ts";
import type { Settings, TypeWord } from "./link-type.ts";
import type { Check, Value } from "./value.ts";

export type TypeValue = Pick<Value, "placeholder" | "check" | "choices">;

/** Undefined takes the setting out again. */
const put = (settings: Settings, key: string, value: unknown): void => {
  if (value === undefined) delete settings[key];
  else settings[key] = value;
};

/** A word with one value, which becomes the setting `key`. */
export const setting = (
  names: readonly string[],
  key: string,
  value: TypeValue,
  convert: (text: string) => unknown = (text) => text,
): TypeWord => ({ names, values: [value], set: (settings, [text]) => put(settings, key, convert(text!)) });

/** A word that switches the setting `key`. */
export const toggle = (name: string, key: string, on: unknown = true, off: unknown = false): TypeWord => ({
  names: [name],
  isSwitch: true,
  values: [],
  set: (settings, _, isOn) => put(settings, key, isOn ? on : off),
});

/** A word that puts `item` into the list `key`, or takes it out. @param initial the list when it is not there */
export const member = (name: string, key: string, item: string, initial: readonly string[] = []): TypeWord => ({
  names: [name],
  isSwitch: true,
  values: [],
  set: (settings, _, isOn) => {
    const others = ((settings[key] as string[] | undefined) ?? initial).filter((one) => one !== item);
    settings[key] = isOn ? [...others, item] : others;
  },
});

export const nothing = (): void => {
  /* The word says what is so anyway. */
};

/** A word that is understood only to say why not; `no` before it says what is so anyway. */
export const refused = (names: readonly string[], reason: string): TypeWord => ({
  names,
  isSwitch: true,
  values: [],
  refused: reason,
  set: nothing,
});

/** As `refused`, for a word that has no `no` before it. */
export const refusedAlone = (name: string, reason: string): TypeWord => ({
  names: [name],
  values: [],
  refused: reason,
  set: nothing,
});

/** A word for what vtepd does anyway. */
export const implied = (name: string, values: readonly TypeValue[] = []): TypeWord => ({
  names: [name],
  values,
  set: nothing,
});

type Side = "input" | "output";

/** The setting `key`, one value or a map of two directions, with `value` on one side or on both. */
export const onSides = (settings: Settings, key: string, sides: readonly Side[], value: unknown): void => {
  const before = settings[key];
  const map: Partial<Record<Side, unknown>> =
    typeof before === "object" && before !== null ? before : { input: before, output: before };
  const after = { ...map, ...Object.fromEntries(sides.map((side) => [side, value])) };
  put(settings, key, after.input === after.output ? after.input : after);
};

const SIDES: Readonly<Record<string, readonly Side[]>> = { "": ["input", "output"], i: ["input"], o: ["output"] };

/** `[i|o]NAME`, switches. */
export const sideSwitches = (name: string, key: string): TypeWord[] =>
  Object.entries(SIDES).map(([prefix, sides]) => ({
    names: [prefix + name],
    isSwitch: true,
    values: [],
    set: (settings, _, isOn) => {
      settings[key] ??= false;
      onSides(settings, key, sides, isOn);
    },
  }));

const QUAD = /^\d+(\.\d+){3}$/;
const isKey: Check = (text) =>
  (QUAD.test(text) ? isIPv4(text) : number(0, 0xffff_ffff, "")(text) === undefined)
    ? undefined
    : `invalid value for "key": "${text}"; it should be an unsigned integer`;

/** `[i|o]key KEY`, and `no` before them. */
export const keyWords = (): TypeWord[] =>
  Object.entries(SIDES).flatMap(([prefix, sides]): TypeWord[] => [
    {
      names: [`${prefix}key`],
      values: [{ placeholder: "KEY", check: isKey }],
      set: (settings, [text]) => onSides(settings, "key", sides, QUAD.test(text!) ? text : Number(text)),
    },
    { names: [`no${prefix}key`], values: [], set: (settings) => onSides(settings, "key", sides, undefined) },
  ]);

const NOBODY = ["any", "0.0.0.0", "::"];

const isMulticast = (address: string): boolean =>
  ipVersion(address) === 6
    ? address.toLowerCase().startsWith("ff")
    : address.startsWith("2") && Number.parseInt(address, 10) >= 224 && Number.parseInt(address, 10) < 240;

const inFamily =
  (family: 0 | 4 | 6, withNames: boolean): Check =>
  (text) => {
    if (text === "any") return undefined;
    const version = ipVersion(text);
    if (version === 0) {
      return withNames ? isRemote(text) : `any valid address is expected rather than "${text}".`;
    }
    return family === 0 || version === family
      ? undefined
      : `${family === 4 ? "inet" : "inet6"} address is expected rather than "${text}".`;
  };

const addressOrNothing = (text: string): string | undefined => (NOBODY.includes(text) ? undefined : text);

export const localWord = (family: 0 | 4 | 6): TypeWord =>
  setting(["local"], "local", { placeholder: "ADDR", check: inFamily(family, false) }, addressOrNothing);

/** A multicast group is one of its own in the configuration. */
export const remoteWord = (names: readonly string[], family: 0 | 4 | 6): TypeWord => ({
  names,
  values: [{ placeholder: "ADDR", check: inFamily(family, true) }],
  set: (settings, [text]) => {
    const address = addressOrNothing(text!);
    delete settings["remote"];
    delete settings["group"];
    if (address !== undefined) settings[isMulticast(address) ? "group" : "remote"] = address;
  },
});

/** `group ADDR`; `remote` takes groups, too. */
export const groupWord = (): TypeWord => {
  const check: Check = (text) =>
    ipVersion(text) === 0 || isMulticast(text) || NOBODY.includes(text)
      ? inFamily(0, false)(text)
      : `argument "${text}" is wrong: invalid group address`;
  return { ...remoteWord(["group"], 0), values: [{ placeholder: "ADDR", check }] };
};

export const devWord = (): TypeWord =>
  setting(["dev"], "link", { placeholder: "PHYS_DEV", check: isName, choices: "interface" });

/** @param words beside numbers */
export const ttlWord = (names: readonly string[], words: readonly string[]): TypeWord =>
  setting(
    names,
    "ttl",
    {
      placeholder: `{ 1..255 | ${words.join(" | ")} }`,
      check: orWord(number(0, 255, "invalid TTL"), words),
      choices: words,
    },
    (text) => (words.includes(text) ? text : Number(text) === 0 ? words[0] : Number(text)),
  );

/** What /etc/iproute2/rt_dsfield has: RFC 2474, 2597, 3246. */
const dscpValue = (name: string): number | undefined => {
  const [, kind, x, y] = /^(AF|CS|EF|default)([1-7]?)([1-3]?)$/.exec(name) ?? [];
  if (kind === undefined || (kind === "AF") !== (y !== "" && Number(x) <= 4)) return undefined;
  if (kind === "EF" || kind === "default") return x === "" ? (kind === "EF" ? 0xb8 : 0) : undefined;
  return x === "" ? undefined : Number(x) * 0x20 + Number(y) * 8;
};

/** iproute2 reads numbers here as hexadecimal. */
const tosValue = (text: string): number | undefined =>
  /^(0x)?[0-9a-f]{1,2}$/i.test(text) ? Number.parseInt(text, 16) : dscpValue(text);

export const tosWord = (names: readonly string[]): TypeWord =>
  setting(
    names,
    "type-of-service",
    {
      placeholder: "{ NUMBER | inherit }",
      check: (text) =>
        text === "inherit" || tosValue(text) !== undefined ? undefined : `argument "${text}" is wrong: invalid TOS`,
      choices: ["inherit"],
    },
    (text) => (text === "inherit" ? text : tosValue(text)),
  );

export const flowLabelWord = (names: readonly string[]): TypeWord =>
  setting(
    names,
    "flow-label",
    {
      placeholder: "{ LABEL | inherit }",
      check: orWord(number(0, 0xfffff, "invalid flow label"), ["inherit"]),
      choices: ["inherit"],
    },
    (text) => (text === "inherit" ? text : Number(text)),
  );

export const fwmarkWord = (): TypeWord =>
  setting(
    ["fwmark"],
    "fwmark",
    { placeholder: "MARK", check: number(0, 0xffff_ffff, "invalid fwmark") },
    (text) => Number(text) || undefined,
  );
