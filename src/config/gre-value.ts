/** Kinds of value that GRE has: keys, and what may differ between the two directions. */
import { z } from "zod";
import { map } from "./map.ts";

export interface Both<Value> {
  /** Of what we receive. */
  readonly input: Value;
  /** Of what we send. */
  readonly output: Value;
}

const KEY = "an integer from 0 to 4294967295 or a dotted quad";
const MAX_KEY = 0xffff_ffff;

/** @param text a dotted quad; NaN for anything else */
export const quadValue = (text: string): number => {
  const bytes = text.split(".").map(Number);
  return bytes.length === 4 && bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255)
    ? bytes.reduce((sum, byte) => sum * 256 + byte)
    : Number.NaN;
};

/** 32 bits; iproute2 takes a dotted quad, too. */
export const greKey = (): z.ZodType<number, number | string> =>
  z
    .unknown()
    .transform((given, context) => {
      const value = typeof given === "string" && /^[0-9]+(\.[0-9]+){3}$/.test(given) ? quadValue(given) : given;
      if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MAX_KEY) return value;
      context.addIssue({ code: "custom", message: KEY, input: given });
      return z.NEVER;
    })
    .meta({
      title: "0..4294967295 or dotted quad",
      anyOf: [
        { type: "integer", minimum: 0, maximum: MAX_KEY },
        { type: "string", pattern: "^[0-9]+(\\.[0-9]+){3}$" },
      ],
    }) as unknown as z.ZodType<number, number | string>;

/** One value for both directions, or a map of two. What is wrong with a single value is told as if there were no map. */
export const bothOr = <Value>(item: z.ZodType<Value, unknown>): z.ZodType<Both<Value>, unknown> => {
  const both = map({ input: item, output: item });
  const { title } = item.meta() ?? {};
  return z
    .unknown()
    .transform((given, context) => {
      const isMap = typeof given === "object" && given !== null && !Array.isArray(given);
      const result = isMap ? both.safeParse(given) : item.safeParse(given);
      if (!result.success) {
        for (const issue of result.error.issues) context.issues.push({ ...issue, input: given } as never);
        return z.NEVER;
      }
      return isMap ? (result.data as Both<Value>) : { input: result.data as Value, output: result.data as Value };
    })
    .meta({ title: `${title}, or \`input\` and \`output\`` }) as unknown as z.ZodType<Both<Value>, unknown>;
};
