/**
 * Claim: a datagram that a socket's filter refuses is dropped without an ICMP answer, as a datagram to a port without socket
 * is not: a filtered socket that only sends stays silent. Seen on Linux 6.18.
 */
import { afterEach, beforeEach, expect, it } from "vitest";
import { PORT_UDP_TX } from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import { IoRig } from "../native/io-rig.ts";
import { Netns } from "../native/netns.ts";

const LOOPBACK = [127, 0, 0, 1];

let netns: Netns;
let rig: IoRig;
beforeEach(() => {
  netns = new Netns();
  rig = new IoRig();
});
afterEach(() => {
  rig.close();
  netns.delete();
});

it("a filtered socket answers nothing, a closed port does", () => {
  const deaf = rig.openUdp(LOOPBACK, { netns: netns.path, discardInput: true });
  const sender = rig.openUdp(LOOPBACK, { netns: netns.path, discardInput: true });
  rig.io.add(1, sender, PORT_UDP_TX, 0, 0);
  rig.putFrame(0, new Uint8Array(20));
  const unreachablesAfterSendingTo = (port: number): number => {
    rig.putVtep(0, LOOPBACK, port);
    rig.putAction(0, { port: 1, frame: 0 });
    const before = netns.counter("IcmpOutDestUnreachs");
    expect(rig.io.send(1)).toBe(0);
    return netns.counter("IcmpOutDestUnreachs") - before;
  };
  expect(unreachablesAfterSendingTo(addon.udpPort(deaf))).toBe(0);
  expect(unreachablesAfterSendingTo(9)).toBe(1);
});
