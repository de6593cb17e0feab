/**
 * POST /v1/capture: frames and packets as they pass, as a pcapng stream that does not end by itself unless a count was given.
 *
 * Nothing waits for a client: what it has not taken of QUEUE_BYTES is not captured, and told as lost in the stream.
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CaptureRequest } from "../dataplane/capture-view.ts";
import type { VtepService } from "../dataplane/view.ts";
import { answersBytes } from "./responses.ts";

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

const packetStream = async (service: VtepService, request: CaptureRequest): Promise<ReadableStream<Uint8Array>> => {
  let queue: ReadableStreamDefaultController<Uint8Array> | undefined;
  let stop: (() => void) | undefined;
  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        queue = controller;
      },
      cancel() {
        queue = undefined;
        stop?.();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: QUEUE_BYTES }),
  );
  stop = await service.capture(request, {
    write: (blocks) => {
      if (queue === undefined || queue.desiredSize! <= 0) return false;
      queue.enqueue(blocks);
      return true;
    },
    end: () => {
      queue?.close();
      queue = undefined;
    },
  });
  return stream;
};

export const addCaptureRoutes = (api: OpenAPIHono, service: VtepService): void => {
  api.openapi(capture, async ({ req }) => {
    const stream = await packetStream(service, req.valid("json"));
    return new Response(stream, { headers: { "content-type": PCAPNG, "cache-control": "no-store" } });
  });
};
