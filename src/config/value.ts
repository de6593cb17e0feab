/**
 * The kinds of value that keys can have, apart from addresses. Each kind names in its `error` what it expects ("an integer
 * from 1 to 64"); explain.ts puts "expected" before it and what came after it. `title` is the kind's short name in the key
 * reference.
 */
import { z } from "zod";
import { INTERFACE_NAME, isInterfaceName } from "../dataplane/interface-name.ts";

/** @param error what is expected, when the integer is only one way of writing the value */
const boundedInteger = (min: number, max: number, error = `an integer from ${min} to ${max}`): z.ZodInt => {
  // A wrong value ends its own checks: inside a union, zod would otherwise tell about one alternative only.
  const check = { error, abort: true };
  return z.int(check).min(min, check).max(max, check);
};

export const integer = (min: number, max: number): z.ZodType<number, number> =>
  boundedInteger(min, max).meta({ title: `${min}..${max}` });

/** `auto` or an integer. */
export const autoOrInteger = (min: number, max: number): z.ZodType<"auto" | number, "auto" | number> => {
  const error = `auto or an integer from ${min} to ${max}`;
  return z
    .union([z.literal("auto"), boundedInteger(min, max, error)], { error })
    .meta({ title: `\`auto\` or ${min}..${max}` });
};

/** An integer or one of a few words. */
export const integerOr = <const Word extends string>(
  min: number,
  max: number,
  words: readonly Word[],
): z.ZodType<number | Word, number | Word> => {
  const error = `${words.join(", ")} or an integer from ${min} to ${max}`;
  return z
    .union([z.enum(words, { error }), boundedInteger(min, max, error)], { error })
    .meta({ title: `${words.map((word) => `\`${word}\``).join(", ")} or ${min}..${max}` });
};

export const flag = (): z.ZodType<boolean, boolean> =>
  z.boolean({ error: "true or false" }).meta({ title: "`true` or `false`" });

/** true, false or one of a few words. */
export const flagOr = <const Word extends string>(
  words: readonly Word[],
): z.ZodType<boolean | Word, boolean | Word> => {
  const error = `true, false or ${words.join(", ")}`;
  return z
    .union([z.boolean({ error }), z.enum(words, { error })], { error })
    .meta({ title: `\`true\`, \`false\` or ${words.map((word) => `\`${word}\``).join(", ")}` });
};

/** A value, or a list of them; it leaves as a list. What is wrong with a single value is told as if there were no list. */
export const oneOrList = (item: z.ZodType<string, string>): z.ZodType<string[], unknown> => {
  const list = z.array(item).min(1, { error: "a list of at least one" });
  const { title, anyOf } = item.meta() ?? {};
  const single = { type: "string", ...(anyOf === undefined ? {} : { anyOf }) };
  return z
    .unknown()
    .transform((given, context) => {
      const result = Array.isArray(given) ? list.safeParse(given) : item.safeParse(given);
      if (result.success) return [result.data].flat();
      for (const issue of result.error.issues) context.issues.push({ ...issue, input: given } as never);
      return z.NEVER;
    })
    .meta({ title: `${title}, or a list`, anyOf: [single, { type: "array", minItems: 1, items: single }] });
};

const PORT_RANGE = "a list of two UDP ports, the first not above the last";

/** First and last UDP port. */
export const portRange = (): z.ZodType<{ first: number; last: number }, [number, number]> => {
  const port = boundedInteger(1, 65_535, PORT_RANGE);
  return z
    .tuple([port, port], { error: PORT_RANGE })
    .transform(([first, last], context) => {
      if (first <= last) return { first, last };
      context.addIssue({ code: "custom", message: PORT_RANGE });
      return z.NEVER;
    })
    .meta({ title: "`[first, last]`" });
};

const MAX_AGEING_S = 2_147_483_647;
const SECONDS_PER_UNIT: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3600 };
const AGEING = `seconds from 0 to ${MAX_AGEING_S}, a time such as 300s, 5m or 1h, or none`;

/** Seconds; 0 = never, which may also be written `none`. */
export const ageingTime = (): z.ZodType<number, number | string> =>
  z
    .union([boundedInteger(0, MAX_AGEING_S, AGEING), z.string().regex(/^(none|[0-9]+[smh]?)$/, { abort: true })], {
      error: AGEING,
    })
    .transform((given, context) => {
      if (typeof given === "number" || given === "none") {
        return given === "none" ? 0 : given;
      }
      const [, digits = "", unit = ""] = /^(\d+)(\D?)$/.exec(given) ?? [];
      const seconds = Number(digits) * (SECONDS_PER_UNIT[unit] ?? Number.NaN);
      if (seconds <= MAX_AGEING_S) {
        return seconds;
      }
      context.addIssue({ code: "custom", message: AGEING });
      return z.NEVER;
    })
    .meta({ title: "time" });

export const interfaceName = (): z.ZodType<string, string> =>
  z
    .string({ error: INTERFACE_NAME })
    .refine(isInterfaceName, { error: INTERFACE_NAME })
    .meta({ title: "interface name", pattern: "^[^\\s/:%]{1,15}$" });

const NETNS = "the name of a network namespace or an absolute path";

/** A name in /run/netns, or an absolute path. */
export const netns = (): z.ZodType<string, string> =>
  z
    .string({ error: NETNS })
    .refine(
      (text) =>
        !text.includes("\0") &&
        (text.startsWith("/") ? text.length > 1 : text !== "" && text !== "." && text !== ".." && !text.includes("/")),
      { error: NETNS },
    )
    .meta({ title: "name or path" });

const ABSOLUTE_PATH = "an absolute path";

export const absolutePath = (): z.ZodType<string, string> =>
  z
    .string({ error: ABSOLUTE_PATH })
    .refine((path) => /^\/.*[^/]$/.test(path) && !path.includes("\0"), { error: ABSOLUTE_PATH })
    .meta({ title: "path" });

/** `sun_path` of a unix socket has 108 bytes, the last of them 0. */
const MAX_SOCKET_PATH = 107;
const SOCKET_PATH = `an absolute path of at most ${MAX_SOCKET_PATH} bytes`;

export const socketPath = (): z.ZodType<string, string> =>
  z
    .string({ error: SOCKET_PATH })
    .refine((path) => /^\/.*[^/]$/.test(path) && !path.includes("\0") && Buffer.byteLength(path) <= MAX_SOCKET_PATH, {
      error: SOCKET_PATH,
    })
    .meta({ title: "path" });

const STATE_DIRECTORY = "an absolute path, or `none`";

export const stateDirectory = (): z.ZodType<string, string> =>
  z
    .string({ error: STATE_DIRECTORY })
    .refine((path) => path === "none" || (/^\/./.test(path) && !path.includes("\0")), { error: STATE_DIRECTORY })
    .meta({ title: "path" });

const GROUP = "the name of a group";

export const groupName = (): z.ZodType<string, string> =>
  z
    .string({ error: GROUP })
    .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/, { error: GROUP })
    .meta({ title: "group name" });

/** One of a closed list of words. */
export const oneOf = <const Word extends string>(words: readonly Word[]): z.ZodType<Word, Word> =>
  z.enum(words, { error: `one of ${words.join(", ")}` }).meta({ title: words.map((word) => `\`${word}\``).join(", ") });

const SOCKET_MODES = ["0600", "0660", "0666"] as const;
const SOCKET_MODE = `one of ${SOCKET_MODES.join(", ")}`;

/** Permission bits of a socket, four octal digits: whoever may write may connect. YAML reads them as a decimal number without quotes. */
export const socketMode = (): z.ZodType<string, string | number> =>
  z
    .union([z.enum(SOCKET_MODES), z.literal([600, 660, 666])], { error: SOCKET_MODE })
    .transform((mode) => String(mode).padStart(4, "0"))
    .meta({ title: SOCKET_MODES.map((mode) => `\`${mode}\``).join(", ") });
