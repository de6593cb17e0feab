/** vtepd's control socket as a benchmark uses it. */
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type End, OVERLAY_DEV } from "../arm.ts";
import { type ControlAccess, updatedMac } from "../control-access.ts";

/** Requests on their way at once: enough that the daemon always has the next one. */
const CONNECTIONS = 8;

interface Stats {
  readonly links: readonly {
    readonly fdb: { readonly full: number };
    readonly drops: Readonly<Record<"encap" | "decap", Readonly<Record<string, number>>>>;
  }[];
  readonly sockets?: readonly { readonly drops: Readonly<Record<string, number>> }[];
}

/** One control socket, its connections kept open between requests. */
class Client {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  private readonly socketPath: string;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** Returns the answer's text. @throws Error when the status is not 200 or 204 */
  ask(method: "GET" | "POST", path: string, body?: unknown): Promise<string> {
    const { agent, socketPath } = this;
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    return new Promise((resolve, reject) => {
      const call = request({ socketPath, agent, path, method, headers }, (answer) => {
        answer.setEncoding("utf8");
        let text = "";
        answer.on("data", (part: string) => {
          text += part;
        });
        answer.on("end", () => {
          if (answer.statusCode === 200 || answer.statusCode === 204) resolve(text);
          else reject(new Error(`${method} ${path}: ${answer.statusCode} ${text}`));
        });
      });
      call.on("error", reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async getJson(path: string): Promise<unknown> {
    return JSON.parse(await this.ask("GET", path));
  }
}

/** Sums by reason, over everything that has such a table. */
const addAll = (sums: Record<string, number>, prefix: string, counts: Readonly<Record<string, number>>): void => {
  for (const [reason, count] of Object.entries(counts)) {
    sums[`${prefix}.${reason}`] = (sums[`${prefix}.${reason}`] ?? 0) + count;
  }
};

/** @param end whose remote VTEP updated entries point at */
export const vtepdControl = (socket: string, end: End): ControlAccess => {
  const client = new Client(socket);
  return {
    fdbEntries: async () => {
      const { fdb } = (await client.getJson("/v1/status")) as { fdb: { entries: number } };
      return fdb.entries;
    },
    ask: async () => {
      await client.ask("GET", "/healthz");
    },
    updateFdb: async (rate, stop) => {
      const start = performance.now();
      let done = 0;
      const update = async (): Promise<void> => {
        while (!stop.aborted) {
          const early = (1000 * done) / rate - (performance.now() - start);
          if (early > 1) await sleep(early);
          const entry = { verb: "replace", mac: updatedMac(done++), dst: end.remote };
          await client.ask("POST", `/v1/links/${OVERLAY_DEV}/fdb`, entry);
        }
      };
      await Promise.all(Array.from({ length: CONNECTIONS }, update));
      return { done, seconds: (performance.now() - start) / 1000 };
    },
    drops: async () => {
      const { links, sockets = [] } = (await client.getJson("/v1/stats")) as Stats;
      const sums: Record<string, number> = {};
      for (const link of links) {
        addAll(sums, "encap", link.drops.encap);
        addAll(sums, "decap", link.drops.decap);
      }
      for (const { drops } of sockets) addAll(sums, "socket", drops);
      return sums;
    },
  };
};
