/** What is told of remote VTEPs, second by second. */
import { beforeEach, expect, it } from "vitest";
import { PeerWatch } from "../../src/daemon/peer-watch.ts";
import type { Tunnel } from "../../src/daemon/tunnel.ts";
import { allocateCounters, type Counters, REMOTE_COLUMNS, REMOTE_RX_FRAMES } from "../../src/dataplane/counters.ts";

interface Remote {
  readonly address: string;
  readonly slot: number;
  readonly isPlain: boolean;
  mtu: number;
}

let remotes: Remote[];
let counters: Counters[];
let told: string[];
let watch: PeerWatch;
let nowS: number;

beforeEach(() => {
  remotes = [{ address: "192.0.2.2", slot: 1, isPlain: true, mtu: 1500 }];
  counters = [allocateCounters(), allocateCounters()];
  told = [];
  nowS = 100;
  const list = {
    list: () => remotes,
    isPlain: ({ isPlain }: Remote) => isPlain,
    pathMtu: (slot: number) => remotes.find((remote) => remote.slot === slot)!.mtu,
  };
  const tunnels = new Map([["ov0", { forwarding: { remotes: list } } as unknown as Tunnel]]);
  watch = new PeerWatch(tunnels, counters, ({ dev, address, change, pathMtu }) => {
    told.push([dev, address, change, ...(pathMtu === undefined ? [] : [pathMtu])].join(" "));
  });
});

const frame = (worker: number, slot = 1): void => {
  counters[worker]!.remote[slot * REMOTE_COLUMNS + REMOTE_RX_FRAMES]! += 1;
};

/** What is told in so many seconds. */
const seconds = (count: number): string[] => {
  told.length = 0;
  for (let n = 0; n < count; n++) watch.tick(++nowS);
  return [...told];
};

it("tells when one is heard, falls silent for half a minute, and is heard again", () => {
  watch.begin(nowS);
  expect(seconds(5)).toEqual([]);
  frame(1);
  expect(seconds(1)).toEqual(["ov0 192.0.2.2 heard"]);
  frame(0);
  expect(seconds(30)).toEqual([]);
  expect(seconds(1)).toEqual(["ov0 192.0.2.2 silent"]);
  expect(seconds(60)).toEqual([]);
  frame(0);
  expect(seconds(1)).toEqual(["ov0 192.0.2.2 heard"]);
});

it("does not take for new who was heard before somebody listened", () => {
  frame(0);
  watch.begin(nowS);
  frame(0);
  expect(seconds(1)).toEqual([]);
  expect(seconds(31)).toEqual(["ov0 192.0.2.2 silent"]);
});

it("tells of those that come and go, and of path MTUs, once for each address", () => {
  watch.begin(nowS);
  remotes.push({ address: "192.0.2.3", slot: 2, isPlain: true, mtu: 1400 });
  remotes.push({ address: "192.0.2.3", slot: 3, isPlain: false, mtu: 1400 });
  expect(seconds(1)).toEqual(["ov0 192.0.2.3 added"]);
  remotes[1]!.mtu = 1300;
  expect(seconds(1)).toEqual(["ov0 192.0.2.3 path-mtu 1300"]);
  remotes.splice(1);
  expect(seconds(1)).toEqual(["ov0 192.0.2.3 removed"]);
});

it("does nothing while nobody listens", () => {
  frame(0);
  expect(seconds(3)).toEqual([]);
  watch.begin(nowS);
  watch.end();
  frame(0);
  expect(seconds(3)).toEqual([]);
});
