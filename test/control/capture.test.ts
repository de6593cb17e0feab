/** Captures over the control socket: how one ends, and what a client gets that does not read. */
import { type IncomingMessage, request } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { enhancedPacket, interfaceDescription, interfaceStatistics, sectionHeader } from "../../src/wire/pcapng.ts";
import { type ControlFixture, controlFixture } from "../support/control-fixture.ts";
import { readPcapng } from "../support/pcapng.ts";
import { unixHttp } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

let control: ControlFixture;
beforeAll(async () => {
  control = await controlFixture();
});
afterAll(() => control.close());

const begin = (): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const outgoing = request({ socketPath: control.socket, path: "/v1/capture", method: "POST", headers }, resolve);
    outgoing.on("error", reject);
    outgoing.end("{}");
  });
const end = async (location: string): Promise<number> =>
  (await unixHttp({ socket: control.socket, path: location, method: "DELETE" })).status;
const read = async (response: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};

const packet = enhancedPacket({
  ...{ id: 0, timeMs: 1, length: 60_000, direction: 1, comment: "" },
  bytes: new Uint8Array(60_000),
});

it("ends for who asks, with what there is, and with the losses whatever the client has left behind", async () => {
  const answer = begin();
  const captured = await waitFor(() => control.service.captured, { what: "a capture" });
  const { sink } = captured!;
  sink.write(sectionHeader("test"));
  sink.write(interfaceDescription(1, 262_144, "vx42", "frames"));
  const response = await answer;
  let taken = 0;
  while (sink.write(packet)) taken++;
  const location = response.headers["content-location"]!;
  expect(location).toMatch(/^\/v1\/capture\/\d+$/);
  expect(await end(location)).toBe(204);
  expect(captured!.hasEnded).toBe(true);
  while (sink.write(packet)) taken++; // as a daemon whose rings are not empty yet
  sink.write(interfaceStatistics(0, 1, 7), true);
  sink.end();
  const file = readPcapng(await read(response));
  expect(file.packets).toHaveLength(taken);
  expect(file.dropped).toBe(7);
  expect(await end(location)).toBe(400);
});

it("is ended by nobody else's number, nor by what is none", async () => {
  const response = await begin();
  expect(await end("/v1/capture/999")).toBe(400);
  expect(await end("/v1/capture/x")).toBe(400);
  expect(control.service.captured!.hasEnded).toBe(false);
  response.on("error", () => {});
  response.destroy();
  await waitFor(() => control.service.captured!.hasEnded, { what: "the end of a capture without client" });
  expect(await end(response.headers["content-location"]!)).toBe(400);
});
