/**
 * What a frame pays for what a tunnel can be told to do: answering for neighbours, policers of the tunnel and of each source,
 * counters of each remote VTEP. `off` is the same frame in the same tunnel without; the difference is the price. All frames
 * pass: a refused one would cost less than it saves.
 */
import {
  FLAG_IPV4,
  FLAG_TCP,
  FRAME_DST_HI,
  FRAME_DST_LO,
  FRAME_FLAGS,
  FRAME_HEADERS,
  FRAME_INNER_IP,
  FRAME_OFFSET,
  FRAME_SRC_HI,
  FRAME_SRC_LO,
  FRAME_WORDS,
  STATUS_NOW_MS,
  STATUS_NOW_S,
} from "../../src/binding/abi.ts";
import { BD_NEIGHBOURS } from "../../src/dataplane/bridge-domain.ts";
import {
  allocateCounters,
  DROP_COLUMNS,
  LINK_COLUMNS,
  LINK_NEIGHBOUR_ANSWERS,
  LINK_RX_BYTES,
  LINK_RX_FRAMES,
  REMOTE_COLUMNS,
  REMOTE_RX_BYTES,
  REMOTE_RX_FRAMES,
} from "../../src/dataplane/counters.ts";
import { ANSWER } from "../../src/dataplane/neighbourhood.ts";
import { BROADCAST, MULTICAST, UNKNOWN_UNICAST_CLASS } from "../../src/dataplane/policers.ts";
import { ARP_SENDER_ADDRESS, ARP_SENDER_MAC, ARP_TARGET_ADDRESS } from "../../src/wire/arp.ts";
import { arpFrame, MAC_BROADCAST, tcpFrame } from "../../test/support/frame-builder.ts";
import { MemoryVtep } from "../../test/support/memory-io.ts";
import { bench } from "../micro.ts";

/** A TAP's turn. */
const BATCH = 64;
const FRAMES = 2_000_000;
const STRIDE = 0x9e3779b1;
/** Far ones; their last two bytes of MAC and address (10.42.0.0/16) are their number. As many near ones send. */
const STATIONS = 1024;
const [FAR_HI, NEAR_HI] = [0x0200, 0x0202];
const NETWORK = 0x0a2a_0000;
/** Frames a second, and at once: a batch a millisecond is far below it. */
const RATE = 1_000_000;

const NEAR = { mac: "02:02:00:00:00:01", address: "10.42.255.1" } as const;
const FAR = { mac: "02:00:00:00:00:01", address: "10.42.0.1" } as const;

const FEATURES = ["off", "suppression", "policers", "source-policers", "all"] as const;
type Feature = (typeof FEATURES)[number];

const tcpWords = {
  [FRAME_FLAGS]: FLAG_IPV4 | FLAG_TCP,
  [FRAME_HEADERS]: 54 | (14 << 16),
  [FRAME_INNER_IP]: (64 << 8) | (14 << 16),
};

const tcp = (from: typeof NEAR | typeof FAR, to: typeof NEAR | typeof FAR, dst: string = to.mac): Uint8Array =>
  tcpFrame({ src: from.mac, dst, srcIp: from.address, dstIp: to.address, srcPort: 1, dstPort: 2 });

/** A tunnel with one remote VTEP that all far stations are behind, and the features on. */
const tunnel = (feature: Feature) => {
  const vtep = new MemoryVtep();
  const { bd, port } = vtep.tunnel(42, { limit: 0 });
  const remote = vtep.remote(bd, "192.0.2.2", 42);
  vtep.flood(bd, [remote]);
  const { bridgeDomains, fdb, neighbours, policers, sourcePolicers } = vtep.tables;
  for (let n = 0; n < STATIONS; n++) {
    fdb.learn(bd, FAR_HI, n, remote, vtep.nowS);
    neighbours.insert(bd, [0, 0, 0xffff, NETWORK | n], FAR_HI, n, 0, vtep.nowS);
  }
  const has = (name: Feature): boolean => feature === name || feature === "all";
  if (has("suppression")) bridgeDomains.set(bd, BD_NEIGHBOURS, ANSWER);
  for (const kind of [BROADCAST, MULTICAST, UNKNOWN_UNICAST_CLASS]) {
    if (has("policers")) policers.set(bd, kind, RATE, RATE);
    if (has("source-policers")) sourcePolicers.set(bd, kind, RATE, RATE);
  }
  const { frames, arena, status } = vtep.batch;
  status[STATUS_NOW_S] = vtep.nowS;
  /** @throws Error when a frame was refused, or a question went unanswered: then something else was timed */
  const check = (answers: boolean): void => {
    const { drop, link } = vtep.counters;
    const refused = drop.subarray(bd * DROP_COLUMNS, (bd + 1) * DROP_COLUMNS).some((count) => count !== 0);
    if (refused) throw new Error("frames were refused");
    if ((link[bd * LINK_COLUMNS + LINK_NEIGHBOUR_ANSWERS] !== 0) !== answers) throw new Error("answers are wrong");
  };
  const { forwarder } = vtep.withoutRecording();
  return { vtep, port, frames, arena, status, forwarder, has, check };
};

/** Near station to far: a frame to its MAC, a broadcast, or the question for its address. */
const overlay = (
  name: string,
  feature: Feature,
  dst: string,
  bytes: Uint8Array,
  words: Record<number, number>,
): void => {
  const isUnicast = dst !== MAC_BROADCAST;
  const isQuestion = name === "arp-request";
  bench(`classify+encap ${name} ${feature}`, { iterations: FRAMES, thresholdNs: 250 }, () => {
    const { vtep, port, frames, arena, status, forwarder, has, check } = tunnel(feature);
    for (let n = 0; n < BATCH; n++) vtep.fromTap({ port, dst, src: NEAR.mac, hash: n, bytes, words });
    // An answer is made of the question, in its descriptor and its place.
    const fresh = frames.slice(0, BATCH * FRAME_WORDS);
    const question = arena.length - bytes.length;
    arena.set(bytes, question);
    let next = 0;
    const renew = (): void => {
      frames.set(fresh);
      for (let row = 0; row < BATCH * FRAME_WORDS; row += FRAME_WORDS) {
        const station = Math.imul(next++, STRIDE) & (STATIONS - 1);
        frames[row + FRAME_SRC_HI] = NEAR_HI;
        frames[row + FRAME_SRC_LO] = station;
        if (isUnicast) {
          frames[row + FRAME_DST_HI] = FAR_HI;
          frames[row + FRAME_DST_LO] = station;
        } else if (isQuestion) {
          const at = frames[row + FRAME_OFFSET]!;
          arena.copyWithin(at, question, question + bytes.length);
          arena[at + ARP_TARGET_ADDRESS + 2] = station >> 8;
          arena[at + ARP_TARGET_ADDRESS + 3] = station;
        }
      }
      status[STATUS_NOW_MS] = (status[STATUS_NOW_MS]! + 1) & 0x7fffffff;
    };
    return (iterations) => {
      for (let n = 0; n < iterations; n += BATCH) {
        renew();
        forwarder.forward(BATCH);
      }
      check(isQuestion && has("suppression"));
      return frames[FRAME_DST_LO]!;
    };
  });
};

for (const feature of FEATURES) overlay("unicast", feature, FAR.mac, tcp(NEAR, FAR), tcpWords);
for (const feature of FEATURES) overlay("broadcast", feature, MAC_BROADCAST, tcp(NEAR, FAR, MAC_BROADCAST), tcpWords);
const request = { operation: "request", senderMac: NEAR.mac, senderIp: NEAR.address, targetIp: FAR.address } as const;
for (const feature of FEATURES) overlay("arp-request", feature, MAC_BROADCAST, arpFrame(request), {});

/** Far station to near: a frame that has nothing to tell about it, or ARP that tells what is known. */
const underlay = (name: string, feature: Feature, bytes: Uint8Array, flags: number): void => {
  bench(`decap+learn ${name} ${feature}`, { iterations: FRAMES, thresholdNs: 250 }, () => {
    const { vtep, frames, arena, forwarder, check } = tunnel(feature);
    const frame = { port: vtep.rxPort, from: "192.0.2.2", vni: 42, src: FAR.mac, dst: NEAR.mac, bytes, flags };
    for (let n = 0; n < BATCH; n++) vtep.fromUnderlay(frame);
    let next = 0;
    const renew = (): void => {
      for (let row = 0; row < BATCH * FRAME_WORDS; row += FRAME_WORDS) {
        const station = Math.imul(next++, STRIDE) & (STATIONS - 1);
        frames[row + FRAME_SRC_HI] = FAR_HI;
        frames[row + FRAME_SRC_LO] = station;
        if (flags !== 0) continue;
        const at = frames[row + FRAME_OFFSET]!;
        arena[at + ARP_SENDER_MAC + 4] = station >> 8;
        arena[at + ARP_SENDER_MAC + 5] = station;
        arena[at + ARP_SENDER_ADDRESS + 2] = station >> 8;
        arena[at + ARP_SENDER_ADDRESS + 3] = station;
      }
    };
    return (iterations) => {
      for (let n = 0; n < iterations; n += BATCH) {
        renew();
        forwarder.forward(BATCH);
      }
      check(false);
      return frames[FRAME_SRC_LO]!;
    };
  });
};

// Nothing is policed on this way.
const reply = { operation: "reply", senderMac: FAR.mac, senderIp: FAR.address, targetIp: NEAR.address } as const;
for (const feature of ["off", "suppression"] as const)
  underlay("unicast", feature, tcp(FAR, NEAR), tcpWords[FRAME_FLAGS]);
for (const feature of ["off", "suppression"] as const) {
  underlay("arp-reply", feature, arpFrame({ ...reply, targetMac: NEAR.mac }), 0);
}

// Remote VTEPs are always counted, so their columns are timed by themselves, beside those that each frame has anyway.
for (const isOn of [false, true]) {
  bench(`count frame remotes=64 ${isOn ? "link+remote" : "link"}`, { iterations: FRAMES, thresholdNs: 50 }, () => {
    const { link, remote: remotes } = allocateCounters();
    const bd = LINK_COLUMNS;
    return (iterations) => {
      for (let n = 0; n < iterations; n++) {
        const bytes = 64 + (n & 1023);
        const remote = (1 + (Math.imul(n, STRIDE) & 63)) * REMOTE_COLUMNS;
        link[bd + LINK_RX_FRAMES]! += 1;
        link[bd + LINK_RX_BYTES]! += bytes;
        if (!isOn) continue;
        remotes[remote + REMOTE_RX_FRAMES]! += 1;
        remotes[remote + REMOTE_RX_BYTES]! += bytes;
      }
      return link[bd + LINK_RX_BYTES]! + remotes[REMOTE_COLUMNS + REMOTE_RX_BYTES]!;
    };
  });
}
