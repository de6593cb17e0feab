/** Whatever the tables are like and whatever comes: a rehearsal says beforehand what the loop then does, and what it leaves. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { BATCH_FRAMES, FLAG_IP_PACKET, FRAME_REASON, FRAME_VERDICT, FRAME_WORDS } from "../../src/binding/abi.ts";
import {
  BD_ACCEPT_ANY,
  BD_DROP_UNKNOWN,
  BD_LEARNING,
  BD_MTU,
  BD_OVERSIZE,
  BD_VLAN,
} from "../../src/dataplane/bridge-domain.ts";
import { type Counters, DROP_COLUMNS } from "../../src/dataplane/counters.ts";
import { FDB_STICKY } from "../../src/dataplane/fdb-memory.ts";
import { BROADCAST, UNKNOWN_UNICAST_CLASS } from "../../src/dataplane/policers.ts";
import { rehearse } from "../../src/dataplane/rehearsal.ts";
import type { Tables } from "../../src/dataplane/tables.ts";
import { formatVtepAddress } from "../../src/dataplane/vtep-address.ts";
import { DROP_REASONS } from "../../src/drop-reason.ts";
import { udpFrame } from "../support/frame-builder.ts";
import { MemoryVtep, macWords, type Sent } from "../support/memory-io.ts";

const VNI = 42;
const DEVICE = "02:00:00:00:ff:01";
const MACS = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03", "02:00:00:00:00:04"];
const ODD_MACS = [DEVICE, "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00"];
const REMOTES = ["192.0.2.2", "192.0.2.3", "192.0.2.4"];
const STRANGER = "192.0.2.9";

const mac = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...MACS) }, fc.constantFrom(...ODD_MACS));
const word = (least: number, most: number): fc.Arbitrary<number> => fc.integer({ min: least, max: most });

const settings = fc.record({
  learning: word(0, 1),
  dropUnknown: word(0, 1),
  acceptAny: word(0, 1),
  vlan: word(0, 2),
  oversize: word(0, 2),
  mtu: fc.constantFrom(300, 1450),
  isDamped: fc.boolean(),
  limit: word(0, 3),
  flood: fc.subarray(REMOTES),
  statics: fc.uniqueArray(fc.record({ mac: fc.constantFrom(...MACS), at: word(0, 2), isSticky: fc.boolean() }), {
    selector: (entry) => entry.mac,
    maxLength: 2,
  }),
  rates: fc.option(word(1, 3)),
});

const frame = fc.record({
  isFromOverlay: fc.boolean(),
  dst: mac,
  src: mac,
  from: fc.constantFrom(...REMOTES, STRANGER),
  vni: fc.constantFrom(VNI, VNI, VNI, 43),
  flags: fc.constantFrom(0, 0, 0, FLAG_IP_PACKET, 128),
  payload: fc.constantFrom(0, 100, 400),
  vlans: fc.constantFrom([], [], [7], [7, 8]),
  cut: fc.constantFrom(0, 0, 0, 0, 9, 20),
  pauseS: fc.constantFrom(0, 0, 1, 10),
});
type Frame = typeof frame extends fc.Arbitrary<infer T> ? T : never;
type Settings = typeof settings extends fc.Arbitrary<infer T> ? T : never;

const made = ({ learning, dropUnknown, acceptAny, vlan, oversize, mtu, isDamped, limit, ...more }: Settings) => {
  const vtep = new MemoryVtep(256);
  const { bd, port } = vtep.tunnel(VNI, { isDamped, limit: limit === 0 ? 100 : limit, mac: DEVICE });
  const { bridgeDomains, policers, fdb } = vtep.tables;
  for (const [row, value] of [
    [BD_LEARNING, learning],
    [BD_DROP_UNKNOWN, dropUnknown],
    [BD_ACCEPT_ANY, acceptAny],
    [BD_VLAN, vlan],
    [BD_OVERSIZE, oversize],
    [BD_MTU, mtu],
  ] as const) {
    bridgeDomains.set(bd, row, value);
  }
  const slots = REMOTES.map((address) => vtep.remote(bd, address, VNI));
  vtep.flood(
    bd,
    more.flood.map((address) => slots[REMOTES.indexOf(address)]!),
  );
  for (const { mac: at, at: slot, isSticky } of more.statics) {
    fdb.setStatic(bd, ...macWords(at), slots[slot]!, isSticky ? FDB_STICKY : 0, vtep.nowS);
  }
  if (more.rates !== null) for (const of of [BROADCAST, UNKNOWN_UNICAST_CLASS]) policers.set(bd, of, more.rates, 2);
  return { vtep, bd, port };
};

const put = (vtep: MemoryVtep, port: number, { isFromOverlay, dst, src, from, vni, flags, ...more }: Frame): void => {
  const whole = udpFrame({
    ...{ src, dst, vlans: more.vlans, srcIp: "10.0.0.1", dstIp: "10.0.0.2", srcPort: 1, dstPort: 2 },
    payload: new Uint8Array(more.payload),
  });
  const bytes = more.cut === 0 ? whole : whole.subarray(0, more.cut);
  if (isFromOverlay) vtep.fromTap({ port, dst, src, bytes });
  else vtep.fromUnderlay({ port: vtep.rxPort, from, vni, dst, src, flags, bytes });
};

/** What the tables know of each MAC. */
const known = ({ fdb, remotes }: Tables, bd: number): string[] =>
  [...MACS, ...ODD_MACS].map((address) => {
    const handle = fdb.find(bd, ...macWords(address));
    if (handle < 0) return "-";
    return `${formatVtepAddress(remotes.address(fdb.target(handle)))} ${fdb.isStatic(handle)}`;
  });

const textOf = ({ port, to }: Pick<Sent, "port" | "to">): string =>
  `${port} ${to?.address ?? "device"} ${to?.vni ?? ""}`;

it("says beforehand what becomes of any frame", () => {
  const scratch = new MemoryVtep(16);
  const reasons = new Set<string>();
  fc.assert(
    fc.property(settings, fc.array(frame, { minLength: 1, maxLength: 12 }), (how, frames) => {
      const { vtep, bd, port } = made(how);
      for (const one of frames) {
        vtep.nowS += one.pauseS;
        vtep.nowMs += one.pauseS * 1000;
        put(scratch, port, one);
        const outcome = rehearse(vtep.memory, { s: vtep.nowS, ms: vtep.nowMs }, (batch) => {
          const end = 64 * BATCH_FRAMES + 4096;
          batch.arena.set(scratch.batch.arena.subarray(0, end));
          batch.frames.set(scratch.batch.frames.subarray(0, FRAME_WORDS));
        });
        scratch.run(); // to begin at the first row again
        const counted = ({ drop }: Counters): number[] => [
          ...drop.subarray(0, DROP_COLUMNS),
          ...drop.subarray(bd * DROP_COLUMNS, (bd + 1) * DROP_COLUMNS),
        ];
        const before = counted(vtep.counters);
        put(vtep, port, one);
        vtep.run();
        const row = vtep.forwarder.isHolding ? BATCH_FRAMES * FRAME_WORDS : 0;
        if (row > 0) vtep.forwarder.resume(true);
        const { frames: words } = vtep.batch;
        expect([outcome.verdict, outcome.reason]).toEqual([words[row + FRAME_VERDICT], words[row + FRAME_REASON]]);
        const copies = outcome.copies.map(({ port: at, remote, header }) => {
          if (remote === 0) return textOf({ port: at });
          const vni = Buffer.from(header).readUIntBE(4, 3);
          const address = formatVtepAddress(vtep.tables.remotes.address(remote));
          return textOf({ port: at, to: { address, port: 0, vni } });
        });
        // With whom a flood begins is another one each time.
        expect(copies.sort()).toEqual(vtep.sent.map(textOf).sort());
        expect(counted(outcome.counters)).toEqual(counted(vtep.counters).map((count, at) => count - before[at]!));
        expect(known(outcome.after, bd)).toEqual(known(vtep.tables, bd));
        reasons.add(DROP_REASONS[outcome.reason]!.name);
      }
    }),
    { numRuns: 100, seed: 6, endOnFailure: true },
  );
  expect([...reasons].sort()).toEqual([
    "local_mac",
    "mac_invalid_source",
    "no_tx_target",
    "not_dropped",
    "pkt_too_small",
    "policed",
    "unknown_unicast",
    "unknown_vtep",
    "vlan_tagged",
    "vxlan_entry_exists",
    "vxlan_vni_not_found",
  ]);
}, 60_000);
