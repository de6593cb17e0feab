/** POST /v1/links/{name}/trace: what would happen to a frame, and why. Nothing happens to it. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { TraceView } from "../dataplane/trace-view.ts";
import type { VtepService } from "../dataplane/view.ts";
import { canonicalIp, parseIp } from "../dataplane/vtep-text.ts";
import { VtepdError } from "../errors.ts";
import { nameInPath } from "./device-parameter.ts";
import { answersJson } from "./responses.ts";

const MAX_FRAME_BYTES = 65_535;

const RequestSchema = z
  .strictObject({
    frame: z
      .string()
      .regex(/^([\da-f]{2})+$/i, "expected bytes in hexadecimal")
      .max(2 * MAX_FRAME_BYTES)
      .openapi({ example: "ffffffffffff0200000000010806" }),
    direction: z.enum(["out", "in"]).optional(),
    from: z.string().optional(),
  })
  .openapi("TraceRequest");

const TraceSchema = z
  .object({
    dev: z.string(),
    direction: z.enum(["out", "in"]),
    outcome: z.enum(["sent", "flooded", "delivered", "answered", "dropped"]),
    reason: z.string().nullable(),
    steps: z.array(z.object({ step: z.string(), text: z.string() })),
    copies: z.array(
      z.object({
        to: z.string().nullable(),
        port: z.number().int().nullable(),
        from: z.string().nullable(),
        sourcePort: z.number().int().nullable(),
        protocol: z.number().int().nullable(),
        ttl: z.union([z.number().int(), z.literal("default")]).nullable(),
        tos: z.number().int().nullable(),
        df: z.boolean().nullable(),
        header: z.string(),
        frame: z.string(),
      }),
    ),
  })
  .openapi("Trace") as unknown as z.ZodType<TraceView>;

const trace = createRoute({
  method: "post",
  path: "/v1/links/{name}/trace",
  summary: "What would happen to a frame from the device, or from a remote VTEP, and why",
  request: { params: nameInPath(), body: { content: { "application/json": { schema: RequestSchema } } } },
  responses: answersJson("Steps and copies", TraceSchema),
});

/** @throws ERR_USAGE, ERR_CONFIG_VALUE */
const senderOf = (direction: "out" | "in" | undefined, from: string | undefined): string | undefined => {
  const wrong = (code: "ERR_USAGE" | "ERR_CONFIG_VALUE", message: string): VtepdError =>
    new VtepdError(code, `from: ${message}`, { path: "from" });
  if (direction === "in" && from === undefined)
    throw wrong("ERR_USAGE", "expected the remote VTEP that the frame comes from");
  if (direction === "out" && from !== undefined)
    throw wrong("ERR_USAGE", "expected nothing, because the frame comes from the device");
  if (from === undefined) return undefined;
  const ip = parseIp(from);
  if (ip === undefined) throw wrong("ERR_CONFIG_VALUE", `expected the address of a remote VTEP, got "${from}"`);
  return canonicalIp(ip);
};

export const addTraceRoutes = (api: OpenAPIHono, service: VtepService): void => {
  api.openapi(trace, (context) => {
    const { name } = context.req.valid("param");
    const { frame, direction, from } = context.req.valid("json");
    const request = { frame: Uint8Array.from(Buffer.from(frame, "hex")), from: senderOf(direction, from) };
    return context.json(service.trace(name, request), 200);
  });
};
