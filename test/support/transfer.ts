/** A TCP transfer between two hosts whose content is compared by hash: nothing lost, nothing swapped, nothing corrupted. */
import type { Child } from "./child.ts";
import type { Host } from "./host.ts";
import { program } from "./program.ts";

const PROGRAM = "transfer-child";
const PORT = "5001";

const end = (host: Host, ...args: string[]): Child => host.spawn(process.execPath, [program(PROGRAM), ...args]);

/** Sends `bytes` from one host to an address on another. Returns the two hashes, which must be equal. */
export const transfer = async (
  from: Host,
  to: Host,
  address: string,
  bytes: number,
  timeoutMs = 60_000,
): Promise<{ sent: string; received: string }> => {
  const receiver = end(to, "receive", address, PORT);
  await receiver.waitForOutput(/listening/);
  const sender = end(from, "send", address, PORT, String(bytes), "7");
  const [, received] = await receiver.waitForOutput(/sha256 (\w+)/, timeoutMs);
  const [, sent] = await sender.waitForOutput(/sha256 (\w+)/, timeoutMs);
  await Promise.all([receiver.stop(), sender.stop()]);
  return { sent: sent!, received: received! };
};

/**
 * A transfer between a host and a machine that is only known by its shell, which connects to `address` of the host:
 * `to` the host or `from` it. Returns the two hashes, which must be equal.
 */
export const shellTransfer = async (
  host: Host,
  address: string,
  direction: "to" | "from",
  shell: (line: string, timeoutMs?: number) => Promise<string>,
  bytes: number,
): Promise<{ sent: string; received: string }> => {
  const verb = direction === "to" ? ["receive", address, PORT] : ["serve", address, PORT, String(bytes), "7"];
  const server = end(host, ...verb);
  await server.waitForOutput(/listening/);
  const socket = `/dev/tcp/${address}/${PORT}`;
  // Numbers that count up: a lost, repeated or swapped segment changes the hash.
  const numbers = `seq 1000000 | head -c ${bytes}`;
  const line =
    direction === "to"
      ? `${numbers} >${socket} && ${numbers} | sha256sum`
      : `set -o pipefail; cat <${socket} | sha256sum`;
  const [there = ""] = (await shell(line)).split(" ");
  const [, here = ""] = await server.waitForOutput(/sha256 (\w+)/);
  await server.stop();
  return direction === "to" ? { sent: there, received: here } : { sent: here, received: there };
};
