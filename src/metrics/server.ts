/**
 * /metrics, /healthz and /readyz over TCP for a Prometheus that cannot reach the control socket. Plain node:http with nothing
 * else behind it: whoever can connect reads the counters and can change nothing.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, isIPv6 } from "node:net";
import type { Logger } from "pino";
import { type ErrorCode, VtepdError } from "../errors.ts";

/** Time a client gets to send its request. */
const REQUEST_TIMEOUT_MS = 10_000;
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const PATHS: readonly string[] = ["/metrics", "/healthz", "/readyz"];
const TEXT_TYPE = "text/plain; charset=utf-8";

export interface MetricsOptions {
  /** Address or name to bind; port 0 = ephemeral. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Exposition text of this moment. */
  readonly render: () => Promise<string>;
  /** Why not all tunnels carry frames; empty = they do. */
  readonly unready: () => readonly string[];
  readonly log: Logger;
}

export interface MetricsServer {
  /** The port that is really bound. */
  readonly port: number;
  /** Stops to listen and cuts what is open. */
  close(): Promise<void>;
}

const CODE_BY_ERRNO: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: "ERR_ADDRESS_IN_USE",
  EADDRNOTAVAIL: "ERR_ADDRESS_NOT_LOCAL",
  EACCES: "ERR_PERMISSION",
  ENOTFOUND: "ERR_CONFIG_VALUE",
  EAI_AGAIN: "ERR_CONFIG_VALUE",
};

const answer = (response: ServerResponse, status: number, type: string, text: string): void => {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) }).end(text);
};

const respond = async (
  { method, url = "/" }: IncomingMessage,
  response: ServerResponse,
  { render, unready }: Pick<MetricsOptions, "render" | "unready">,
): Promise<void> => {
  const [path] = url.split("?", 1);
  if (!PATHS.includes(path!)) answer(response, 404, TEXT_TYPE, "not found\n");
  else if (method !== "GET" && method !== "HEAD") answer(response, 405, TEXT_TYPE, "method not allowed\n");
  else if (path === "/healthz") answer(response, 200, TEXT_TYPE, "ok\n");
  else if (path === "/readyz") {
    const reasons = unready();
    answer(response, reasons.length === 0 ? 200 : 503, TEXT_TYPE, `${reasons.join("\n") || "ok"}\n`);
  } else answer(response, 200, METRICS_TYPE, await render());
};

/** @throws ERR_ADDRESS_IN_USE, ERR_ADDRESS_NOT_LOCAL, ERR_PERMISSION, ERR_CONFIG_VALUE (a name without address), ERR_SYSCALL */
export const startMetrics = async ({ listen, render, unready, log }: MetricsOptions): Promise<MetricsServer> => {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    respond(request, response, { render, unready }).catch((error: unknown) => {
      log.error({ err: error, code: "ERR_INTERNAL" }, "scrape failed");
      if (response.headersSent) response.destroy();
      else answer(response, 500, TEXT_TYPE, "scrape failed; the log of vtepd has the cause\n");
    });
  });
  const { host, port } = listen;
  const place = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const code = CODE_BY_ERRNO[cause.code ?? ""] ?? "ERR_SYSCALL";
      reject(new VtepdError(code, `cannot serve metrics on ${place}: ${cause.message}`, { cause }));
    });
    server.listen({ host, port }, resolve);
  });
  server.on("error", (error) => log.error({ err: error }, "metrics server failed"));
  log.info({ listen: place }, "metrics server ready");

  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
