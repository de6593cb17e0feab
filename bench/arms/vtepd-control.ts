/** vtepd's control socket as a benchmark uses it. */
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { unixHttp } from "../../test/support/unix-http.ts";
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

const getJson = async (socket: string, path: string): Promise<unknown> => {
  const answer = await unixHttp({ socket, path });
  if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${answer.text}`);
  return JSON.parse(answer.text);
};

const changeEntry = (agent: Agent, socketPath: string, mac: string, dst: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const path = `/v1/links/${OVERLAY_DEV}/fdb`;
    const headers = { "content-type": "application/json" };
    const call = request({ socketPath, path, method: "POST", headers, agent }, (answer) => {
      answer.resume();
      answer.on("end", () => {
        if (answer.statusCode === 204) resolve();
        else reject(new Error(`POST ${path}: ${answer.statusCode}`));
      });
    });
    call.on("error", reject);
    call.end(JSON.stringify({ verb: "replace", mac, dst }));
  });

/** Sums by reason, over everything that has such a table. */
const addAll = (sums: Record<string, number>, prefix: string, counts: Readonly<Record<string, number>>): void => {
  for (const [reason, count] of Object.entries(counts)) {
    sums[`${prefix}.${reason}`] = (sums[`${prefix}.${reason}`] ?? 0) + count;
  }
};

export const vtepdControl = (socket: string, end: End): ControlAccess => ({
  fdbEntries: async () => {
    const status = (await getJson(socket, "/v1/status")) as { fdb: { entries: number } };
    return status.fdb.entries;
  },
  ask: async () => {
    const { status } = await unixHttp({ socket, path: "/healthz" });
    if (status !== 200) throw new Error(`GET /healthz: ${status}`);
  },
  updateFdb: async (rate, stop) => {
    const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
    const start = performance.now();
    let done = 0;
    const client = async (): Promise<void> => {
      while (!stop.aborted) {
        const early = (1000 * done) / rate - (performance.now() - start);
        if (early > 1) await sleep(early);
        await changeEntry(agent, socket, updatedMac(done++), end.remote);
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, client));
    agent.destroy();
    return { done, seconds: (performance.now() - start) / 1000 };
  },
  drops: async () => {
    const { links, sockets = [] } = (await getJson(socket, "/v1/stats")) as Stats;
    const sums: Record<string, number> = {};
    for (const link of links) {
      addAll(sums, "encap", link.drops.encap);
      addAll(sums, "decap", link.drops.decap);
    }
    for (const { drops } of sockets) addAll(sums, "socket", drops);
    return sums;
  },
});
