/**
 * POST /v1/capture: frames and packets as they pass, as a pcapng stream that does not end by itself unless a count was given.
 *
 * Whoever ends it by `DELETE /v1/capture/N` (`content-location` of the answer) still gets what was captured until then, and what was lost.
 *
 * Nothing waits for a client: what it has not taken of QUEUE_BYTES is not captured, and told as lost in the stream.
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CaptureRequest } from "../dataplane/capture-view.ts";
import type { VtepService } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { answersBytes, answersNothing } from "./responses.ts";

const PCAPNG = "application/x-pcapng";
const QUEUE_BYTES = 8 << 20;

const RequestSchema = z
  .strictObject({
    dev: z.string().min(1).max(15).optional(),
    layer: z.enum(["inner", "outer"]).optional(),
    filter: z.string().max(1000).optional(),
    snaplen: z.number().int().min(64).max(262_144).optional(),
    count: z.number().int().min(1).optional(),
  })
  .openapi("Capture");

const capture = createRoute({
  method: "post",
  path: "/v1/capture",
  summary: "Frames of the tunnels and packets of the underlay, as pcapng",
  request: { body: { content: { "application/json": { schema: RequestSchema } } } },
  responses: answersBytes("Blocks of pcapng", PCAPNG),
});

const end = createRoute({
  method: "delete",
  path: "/v1/capture/{number}",
  summary: "End a capture: its stream ends with what was captured until now",
  request: { params: z.object({ number: z.string().regex(/^\d{1,15}$/, "expected the number of a capture") }) },
  responses: answersNothing("It ends"),
});

/** @param onEnd told once @returns the stream, and what ends it */
const packetStream = async (
  service: VtepService,
  request: CaptureRequest,
  onEnd: () => void,
): Promise<{ stream: ReadableStream<Uint8Array>; stop: () => void }> => {
  let queue: ReadableStreamDefaultController<Uint8Array> | undefined;
  let stop: (() => void) | undefined;
  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        queue = controller;
      },
      cancel() {
        queue = undefined;
        onEnd();
        stop?.();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: QUEUE_BYTES }),
  );
  stop = await service.capture(request, {
    write: (blocks, isLast = false) => {
      if (queue === undefined || (queue.desiredSize! <= 0 && !isLast)) return false;
      queue.enqueue(blocks);
      return true;
    },
    end: () => {
      onEnd();
      queue?.close();
      queue = undefined;
    },
  });
  return { stream, stop };
};

export const addCaptureRoutes = (api: OpenAPIHono, service: VtepService): void => {
  const running = new Map<string, () => void>();
  let count = 0;
  api.openapi(capture, async ({ req }) => {
    const number = String(++count);
    const { stream, stop } = await packetStream(service, req.valid("json"), () => void running.delete(number));
    running.set(number, stop);
    const headers = {
      "content-type": PCAPNG,
      "cache-control": "no-store",
      "content-location": `/v1/capture/${number}`,
    };
    return new Response(stream, { headers });
  });
  api.openapi(end, ({ req }) => {
    const { number } = req.valid("param");
    const stop = running.get(number);
    if (stop === undefined) {
      throw new VtepdError("ERR_USAGE", `number: expected a capture that runs, ${number} is none`, { path: "number" });
    }
    stop();
    return new Response(null, { status: 204 });
  });
};
