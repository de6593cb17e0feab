/** An HTTP transfer between two hosts, by Node's own server and client. */
import type { Host } from "./host.ts";

const PORT = 8080;

const SERVER = `require("http").createServer((_, answer) => answer.end(Buffer.alloc(Number(process.argv[1]), 120)))
  .listen({ port: ${PORT}, host: "::" }, () => console.log("listening"));`;
const CLIENT = `let bytes = 0;
require("http").get(process.argv[1], (answer) => answer.on("data", (data) => { bytes += data.length; })
  .on("end", () => console.log("got " + bytes)));`;

/** Fetches `bytes` bytes that `server` has at `address`. Returns how many came. */
export const httpGet = async (
  server: Host,
  client: Host,
  address: string,
  bytes: number,
  timeoutMs = 60_000,
): Promise<number> => {
  const serving = server.spawn(process.execPath, ["-e", SERVER, String(bytes)]);
  await serving.waitForOutput(/listening/);
  const host = address.includes(":") ? `[${address}]` : address;
  const fetching = client.spawn(process.execPath, ["-e", CLIENT, `http://${host}:${PORT}/`]);
  const [, got] = await fetching.waitForOutput(/got (\d+)/, timeoutMs);
  await Promise.all([serving.stop(), fetching.stop()]);
  return Number(got);
};
