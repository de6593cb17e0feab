/** What the schema's tables are made of: maps, the keys in them, lists. Kinds of single values are in value.ts. */
import { z } from "zod";

/** What a key means, for people. The unit stands beside the kind of value. */
export const key = <Type extends z.ZodType>(type: Type, description: string, more: z.GlobalMeta = {}): Type =>
  type.meta({ description, ...more });

export const map = <Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
  error = "a map",
): z.ZodObject<Shape, z.core.$strict> => z.strictObject(shape, { error });

/** A map whose keys are all optional: leaving it out and leaving it empty mean the same. */
export const section = <Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
): z.ZodType<z.output<z.ZodObject<Shape, z.core.$strict>>> => {
  const keys = map(shape);
  return keys.nullish().transform((given) => given ?? keys.parse({}));
};

export const listOf = <Type extends z.ZodType>(item: Type): z.ZodArray<Type> => z.array(item, { error: "a list" });
