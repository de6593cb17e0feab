/**
 * GET /v1/events: what happens in the tunnels, as it happens, one JSON object a line or as server-sent events.
 *
 * Nothing waits for a client: when one has not taken QUEUE_BYTES, what follows is counted, and told as one `lost` event
 * when it reads again. A heartbeat (an empty line, or a comment) tells it that the daemon is alive.
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { EventView, VtepService } from "../dataplane/view.ts";
import { deviceInQuery } from "./device-parameter.ts";
import { answersEvents } from "./responses.ts";

const NDJSON = "application/x-ndjson";
const EVENT_STREAM = "text/event-stream";
const QUEUE_BYTES = 256 * 1024;
const HEARTBEAT_MS = 10_000;

/** An event as it is sent. */
export type EventJson = (EventView | { readonly event: "lost"; readonly count: number }) & { readonly time: string };

const time = () => z.iso.datetime();
const dev = () => z.string();

const EventSchema = z
  .discriminatedUnion("event", [
    z.object({ event: z.literal("l2-miss"), time: time(), dev: dev(), mac: z.string() }),
    z.object({ event: z.literal("l3-miss"), time: time(), dev: dev(), address: z.string() }),
    z.object({
      event: z.literal("neighbour"),
      time: time(),
      dev: dev(),
      change: z.enum(["learned", "moved", "aged", "here"]),
      address: z.string(),
      mac: z.string().optional(),
    }),
    z.object({ event: z.literal("lost"), time: time(), count: z.number().int() }),
  ])
  .openapi("Event") as z.ZodType<EventJson>;

const stream = createRoute({
  method: "get",
  path: "/v1/events",
  summary: "What happens in all tunnels or in one, as a stream that does not end",
  request: { query: deviceInQuery() },
  responses: answersEvents("Events", EventSchema),
});

/** The stream's bytes. @param isSse server-sent events rather than lines */
const eventStream = (service: VtepService, dev: string | undefined, isSse: boolean): ReadableStream<Uint8Array> => {
  const encoder = new TextEncoder();
  let lost = 0;
  let stop = (): void => {};
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (event: EventView | { event: "lost"; count: number }): void => {
          const text = JSON.stringify({ time: new Date().toISOString(), ...event } satisfies EventJson);
          controller.enqueue(encoder.encode(isSse ? `event: ${event.event}\ndata: ${text}\n\n` : `${text}\n`));
        };
        const beat = (): void => controller.enqueue(encoder.encode(isSse ? ":\n\n" : "\n"));
        const unlisten = service.listen((event) => {
          if (dev !== undefined && event.dev !== dev) return;
          if (controller.desiredSize! <= 0) {
            lost++;
            return;
          }
          if (lost > 0) send({ event: "lost", count: lost });
          lost = 0;
          send(event);
        });
        const timer = setInterval(() => {
          if (controller.desiredSize! > 0) beat();
        }, HEARTBEAT_MS).unref();
        stop = () => {
          unlisten();
          clearInterval(timer);
        };
        beat(); // the client has its answer at once
      },
      cancel: () => stop(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: QUEUE_BYTES }),
  );
};

export const addEventRoutes = (api: OpenAPIHono, service: VtepService): void => {
  api.openapi(stream, ({ req }) => {
    const { dev } = req.valid("query");
    if (dev !== undefined) service.link(dev); // an unknown tunnel is an answer, not a silent stream
    const isSse = req.header("accept")?.includes(EVENT_STREAM) === true;
    return new Response(eventStream(service, dev, isSse), {
      headers: { "content-type": isSse ? EVENT_STREAM : NDJSON, "cache-control": "no-store" },
    });
  });
};
