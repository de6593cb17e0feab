/** The tunnel's name as it stands in a path or a query. Any name is taken: the service knows which ones exist. */
import { z } from "@hono/zod-openapi";

/** IFNAMSIZ less the closing zero, in characters. */
const MAX_NAME = 15;

const name = (): z.ZodString => z.string().min(1).max(MAX_NAME);

export const nameInPath = (): z.ZodObject<{ name: z.ZodString }> =>
  z.strictObject({ name: name().openapi({ param: { name: "name", in: "path" }, example: "vx42" }) });

export const deviceInQuery = (): z.ZodObject<{ dev: z.ZodOptional<z.ZodString> }> =>
  z.strictObject({
    dev: name()
      .optional()
      .openapi({ param: { name: "dev", in: "query" }, example: "vx42" }),
  });
