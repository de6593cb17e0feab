/**
 * GET /v1/events: what happens in the tunnels, as it happens, one JSON object a line or as server-sent events.
 *
 * Nothing waits for a client: when one has not taken QUEUE_BYTES, what follows is counted, and told as one `lost` event
 * when it reads again. A heartbeat (an empty line, or a comment) tells it that the daemon is alive.
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { EVENT_GROUPS, type EventGroup, type EventView, groupOf } from "../dataplane/event-view.ts";
import type { VtepService } from "../dataplane/view.ts";
import { deviceInQuery } from "./device-parameter.ts";
import { answersEvents } from "./responses.ts";

const NDJSON = "application/x-ndjson";
const EVENT_STREAM = "text/event-stream";
const QUEUE_BYTES = 256 * 1024;
const HEARTBEAT_MS = 10_000;

/** An event as it is sent. */
export type EventJson = EventView & { readonly time: string };

const time = () => z.iso.datetime();
const dev = () => z.string();

const EventSchema = z
  .discriminatedUnion("event", [
    z.object({ event: z.literal("learn"), time: time(), dev: dev(), mac: z.string(), dst: z.string() }),
    z.object({
      event: z.literal("move"),
      time: time(),
      dev: dev(),
      mac: z.string(),
      dst: z.string(),
      from: z.string(),
    }),
    z.object({ event: z.literal("age"), time: time(), dev: dev(), mac: z.string(), dst: z.string() }),
    z.object({
      event: z.literal("fdb"),
      time: time(),
      dev: dev(),
      change: z.enum(["added", "changed", "deleted"]),
      mac: z.string(),
      dst: z.string(),
      port: z.number().int().optional(),
      vni: z.number().int().optional(),
      via: z.string().optional(),
      sticky: z.literal(true).optional(),
      owner: z.enum(["config", "control", "learned"]),
    }),
    z.object({ event: z.literal("l2-miss"), time: time(), dev: dev(), mac: z.string() }),
    z.object({ event: z.literal("l3-miss"), time: time(), dev: dev(), address: z.string() }),
    z.object({
      event: z.literal("neighbour"),
      time: time(),
      dev: dev(),
      change: z.enum(["learned", "moved", "aged", "here", "added", "changed", "deleted"]),
      address: z.string(),
      mac: z.string().optional(),
      router: z.literal(true).optional(),
    }),
    z.object({
      event: z.literal("link"),
      time: time(),
      dev: dev(),
      change: z.enum(["made", "deleted", "gone", "back", "degraded", "restored", "changed", "mtu"]),
      keys: z.array(z.string()).optional(),
      code: z.string().optional(),
      message: z.string().optional(),
      mtu: z.number().int().optional(),
    }),
    z.object({
      event: z.literal("peer"),
      time: time(),
      dev: dev(),
      address: z.string(),
      change: z.enum(["added", "removed", "heard", "silent", "path-mtu"]),
      pathMtu: z.number().int().optional(),
    }),
    z.object({ event: z.literal("lost"), time: time(), count: z.number().int() }),
  ])
  .openapi("Event") as z.ZodType<EventJson>;

const stream = createRoute({
  method: "get",
  path: "/v1/events",
  summary: "What happens in all tunnels or in one, as a stream that does not end",
  request: { query: deviceInQuery().extend({ kind: z.enum(EVENT_GROUPS).optional() }) },
  responses: answersEvents("Events", EventSchema),
});

/** What a client wants to hear. */
interface Interest {
  readonly dev?: string | undefined;
  readonly kind?: EventGroup | undefined;
}

const isOf = ({ dev, kind }: Interest, event: EventView): boolean =>
  event.event === "lost" ||
  ((dev === undefined || event.dev === dev) && (kind === undefined || groupOf(event) === kind));

/** The stream's bytes. @param isSse server-sent events rather than lines */
const eventStream = (service: VtepService, interest: Interest, isSse: boolean): ReadableStream<Uint8Array> => {
  const encoder = new TextEncoder();
  let lost = 0;
  let stop = (): void => {};
  let tellLost = (): void => {};
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (event: EventView): void => {
          const text = JSON.stringify({ time: new Date().toISOString(), ...event } satisfies EventJson);
          controller.enqueue(encoder.encode(isSse ? `event: ${event.event}\ndata: ${text}\n\n` : `${text}\n`));
        };
        const beat = (): void => controller.enqueue(encoder.encode(isSse ? ":\n\n" : "\n"));
        const unlisten = service.listen((event) => {
          if (!isOf(interest, event)) return;
          if (controller.desiredSize! <= 0) {
            lost += event.event === "lost" ? event.count : 1;
            return;
          }
          tellLost();
          send(event);
        });
        tellLost = () => {
          if (lost > 0) send({ event: "lost", count: lost });
          lost = 0;
        };
        const timer = setInterval(() => {
          if (controller.desiredSize! > 0) beat();
        }, HEARTBEAT_MS).unref();
        stop = () => {
          unlisten();
          clearInterval(timer);
        };
        beat(); // the client has its answer at once
      },
      pull: () => tellLost(), // there is room again
      cancel: () => stop(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: QUEUE_BYTES }),
  );
};

export const addEventRoutes = (api: OpenAPIHono, service: VtepService): void => {
  api.openapi(stream, ({ req }) => {
    const interest = req.valid("query");
    const { dev } = interest;
    if (dev !== undefined) service.link(dev); // an unknown tunnel is an answer, not a silent stream
    const isSse = req.header("accept")?.includes(EVENT_STREAM) === true;
    return new Response(eventStream(service, interest, isSse), {
      headers: { "content-type": isSse ? EVENT_STREAM : NDJSON, "cache-control": "no-store" },
    });
  });
};
