/**
 * An ICMP message about an earlier datagram waits on a socket until some call finds it. Only connected sockets are told, so
 * these are made by Node's dgram; `_handle.fd` is the only way to their descriptor. They stay in the present namespace, and
 * Node does not poll them, as no test here gives control back to its event loop.
 */
import { execFileSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PORT_UDP_RX, STATUS_GONE, STATUS_RX_ERRORS } from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import { IoRig } from "./io-rig.ts";

const LOOPBACK = [127, 0, 0, 1];
const CONNECTED = 1;

let rig: IoRig;
let socket: Socket;
/** A port that a socket had which is closed now: who sends there is answered port unreachable. */
let closedPort: number;
beforeAll(() => {
  execFileSync("ip", ["link", "set", "lo", "up"]);
});
beforeEach(async () => {
  rig = new IoRig();
  const closed = addon.openUdp({
    address: Uint8Array.from(LOOPBACK),
    port: 0,
    reusePort: false,
    receiveInfo: false,
  });
  closedPort = addon.udpPort(closed);
  addon.closeFd(closed);
  socket = createSocket("udp4");
  socket.connect(closedPort, "127.0.0.1");
  await once(socket, "connect");
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  rig.io.add(CONNECTED, fd, PORT_UDP_RX, 0, 0);
  rig.putVtep(0, LOOPBACK, closedPort);
  rig.putFrame(0, Uint8Array.of(1));
});
afterEach(() => {
  rig.close();
  socket.close();
});

const sendToClosedPort = (count: number): number => {
  for (let i = 0; i < count; i++) rig.putAction(i, { port: CONNECTED, frame: 0 });
  return rig.io.send(count);
};

describe("a pending error", () => {
  it("ends a receive once, is counted, and receive sleeps again", () => {
    expect(sendToClosedPort(1)).toBe(0);
    expect(rig.io.receive(1000)).toBe(0);
    expect(rig.status(STATUS_RX_ERRORS)).toBe(1);
    const start = performance.now();
    expect(rig.io.receive(200)).toBe(0);
    expect(performance.now() - start).toBeGreaterThanOrEqual(199);
    expect([rig.status(STATUS_RX_ERRORS), rig.status(STATUS_GONE)]).toEqual([1, 0]);
  });

  it("is not blamed on the datagram that finds it", () => {
    for (let round = 0; round < 3; round++) {
      expect(sendToClosedPort(4)).toBe(0);
      expect(Array.from({ length: 4 }, (_, i) => rig.result(i))).toEqual([0, 0, 0, 0]);
    }
  });
});
