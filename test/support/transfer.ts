/** A TCP transfer between two hosts whose content is compared by hash: nothing lost, nothing swapped, nothing corrupted. */
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Child } from "./child.ts";
import type { Host } from "./host.ts";

const LOADER = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const PROGRAM = fileURLToPath(new URL("./transfer-child.ts", import.meta.url));
const PORT = "5001";

const end = (host: Host, ...args: string[]): Child =>
  host.spawn(process.execPath, ["--import", LOADER, PROGRAM, ...args]);

/** Sends `bytes` from one host to an address on another. Returns the two hashes, which must be equal. */
export const transfer = async (
  from: Host,
  to: Host,
  address: string,
  bytes: number,
  timeoutMs = 20_000,
): Promise<{ sent: string; received: string }> => {
  const receiver = end(to, "receive", address, PORT);
  await receiver.waitForOutput(/listening/, 10_000);
  const sender = end(from, "send", address, PORT, String(bytes), "7");
  const [, received] = await receiver.waitForOutput(/sha256 (\w+)/, timeoutMs);
  const [, sent] = await sender.waitForOutput(/sha256 (\w+)/, timeoutMs);
  await Promise.all([receiver.stop(), sender.stop()]);
  return { sent: sent!, received: received! };
};
