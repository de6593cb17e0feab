/** A worker of a running vtepd that stands still, while all else goes on. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Child } from "./child.ts";
import type { Host } from "./host.ts";
import { waitFor } from "./wait-for.ts";

const FREEZER = fileURLToPath(new URL("./freeze-thread.py", import.meta.url));

/** Its newest thread that waits for input, which is a worker: others of Node.js that do are older. */
const lastWorker = (pid: number): number | undefined => {
  const threads = readdirSync(`/proc/${pid}/task`).map(Number);
  const waits = (tid: number): boolean => /epoll|ep_poll/.test(readFileSync(`/proc/${pid}/task/${tid}/wchan`, "utf8"));
  return threads.filter((tid) => tid !== pid && waits(tid)).sort((a, b) => b - a)[0];
};

/** Returns what lets it go on. */
export const freezeWorker = async (host: Host, pid: number): Promise<() => Promise<void>> => {
  const tid = await waitFor(() => lastWorker(pid), { what: "an idle worker" });
  const freezer: Child = host.spawn("python3", [FREEZER, String(tid)]);
  await freezer.waitForOutput(/frozen/);
  return async () => {
    freezer.endInput();
    await freezer.exited;
  };
};
