/**
 * ESP and what it could be at best: `npx tsx bench/esp.ts [--rounds 3] [--seconds 2]`, a minute.
 *
 * At best a packet costs what the floor needs for the same sends without a cipher, and AES-256-GCM of 1400 bytes in Node's own OpenSSL on
 * one core (esp/speed.cc says why by a program of its own). So each round measures, within half a minute, the cipher, one TCP stream
 * through two floors, and the same through two vtepds: ESP as an IP protocol and the floor of ipip, ESP in UDP and VXLAN's floor.
 *
 *     ns per packet of the floor = bits of a packet / its bits a second
 *     bound                      = bits of a packet / (ns per packet of the floor + ns of the cipher)
 *
 * One cipher only, as the other end's works at the same time on another core. GOAL of the bound is wanted.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import type { WireMode } from "../test/support/lab.ts";
import { armByLabel } from "./arms/by-label.ts";
import { confine, refusal } from "./confine.ts";
import { spreadText } from "./figure.ts";
import { describeMachine, unrest } from "./machine.ts";
import { spreadOf } from "./spread.ts";
import { runTrial } from "./trial.ts";
import { tcpStream } from "./workloads/tcp-stream.ts";

const GOAL = 0.6;
const BLOCK_BYTES = 1400;
const CIPHER_S = 0.5;
/** IPv4, TCP, its timestamps. */
const HEADERS_BYTES = 20 + 20 + 12;
const SPEED = new URL("build/esp-speed.node", import.meta.url);
const MODES: readonly WireMode[] = ["wire-like", "virtual"];
const WORK = ["block", "message", "seal", "open"] as const;

type Work = (typeof WORK)[number];

interface Case {
  readonly esp: string;
  /** What makes the same sends. */
  readonly floor: string;
  /** Of the ESP tunnel over an underlay of 1500, and of the floor. */
  readonly mtu: number;
}

const CASES: readonly Case[] = [
  { esp: "vtepd+vti", floor: "floor+ipip", mtu: 1446 },
  { esp: "vtepd+vti-espinudp", floor: "floor", mtu: 1438 },
];

interface Round {
  readonly payloadBits: number;
  /** Nanoseconds of one block, or packet. */
  readonly work: Readonly<Record<Work, number>>;
  /** Gbit/s of payload. */
  readonly floor: number;
  readonly esp: number;
}

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "3" }, seconds: { type: "string", default: "2" } },
});
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
const problem = refusal() ?? (existsSync(SPEED) ? undefined : "bench/build/esp-speed.node is missing: make -C bench");
if (problem !== undefined) throw new Error(problem);
confine(2);

const speed = createRequire(import.meta.url)(SPEED.pathname) as {
  measure(what: Work, bytes: number, seconds: number): number;
};

const throughput = async (label: string, mode: WireMode, overlayMtu: number): Promise<number> => {
  const workload = { ...tcpStream, setUp: { overlayMtu } };
  const { sample } = await runTrial(armByLabel(label), workload, { mode, seconds, pin: false });
  process.stderr.write(`${mode} ${label}: ${JSON.stringify(sample)}\n`);
  return sample["throughput"]!;
};

const measure = async ({ esp, floor, mtu }: Case, mode: WireMode, round: number): Promise<Round> => {
  const work = Object.fromEntries(WORK.map((what) => [what, speed.measure(what, BLOCK_BYTES, CIPHER_S)]));
  const rates: Record<string, number> = {};
  const labels = round % 2 === 0 ? [floor, esp] : [esp, floor];
  for (const label of labels) rates[label] = await throughput(label, mode, mtu);
  const payloadBits = 8 * (mtu - HEADERS_BYTES);
  return { payloadBits, work: work as Record<Work, number>, floor: rates[floor]!, esp: rates[esp]! };
};

const floorNs = ({ payloadBits, floor }: Round): number => payloadBits / floor;
const boundNs = (round: Round): number => floorNs(round) + round.work.block;
const bound = (round: Round): number => round.payloadBits / boundNs(round);

const line = (name: string, sample: readonly Round[], digits: number, read: (round: Round) => number): string =>
  `${name.padEnd(56)}${spreadText(spreadOf(sample.map(read)), digits)}`;

const report = ({ esp, floor }: Case, mode: WireMode, sample: readonly Round[]): string =>
  [
    `${esp}, ${mode}`,
    line(`  AES-256-GCM, one block of ${BLOCK_BYTES}, ns`, sample, 0, ({ work }) => work.block),
    line("    with nonce, authenticated bytes and check value, ns", sample, 0, ({ work }) => work.message),
    line("    as the addon seals a packet, ns", sample, 0, ({ work }) => work.seal),
    line("    as the addon opens a packet, ns", sample, 0, ({ work }) => work.open),
    line(`  ${floor}, Gbit/s`, sample, 2, (round) => round.floor),
    line("    ns per packet", sample, 0, floorNs),
    line("  bound: floor and one block, ns per packet", sample, 0, boundNs),
    line("    Gbit/s", sample, 2, bound),
    line(`  ${esp}, Gbit/s`, sample, 2, (round) => round.esp),
    line(`    of the bound (wanted: ${GOAL})`, sample, 2, (round) => round.esp / bound(round)),
  ].join("\n");

const doubt = unrest(await describeMachine());
if (doubt !== undefined) process.stderr.write(`NOT QUIET: ${doubt}\n`);
for (const one of CASES) {
  for (const mode of MODES) {
    const sample: Round[] = [];
    for (let round = 0; round < rounds; round++) sample.push(await measure(one, mode, round));
    process.stdout.write(`${report(one, mode, sample)}\n`);
  }
}
process.exit(0);
