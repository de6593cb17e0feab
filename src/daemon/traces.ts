/**
 * Traces: what would happen to a frame and why, step by step. The decision is the data plane's own (dataplane/rehearsal.ts);
 * here it is put into words, by the tables that it was made from and by what it has left in its copies of them.
 */
import { OUTER_DF, OUTER_TOS, OUTER_TTL } from "../binding/abi.ts";
import { addon } from "../binding/addon.ts";
import { DROP_COLUMNS, ENCAP, LINK_COLUMNS, LINK_FLOODED, LINK_NEIGHBOUR_ANSWERS } from "../dataplane/counters.ts";
import { type Outcome, type RehearsedCopy, rehearse } from "../dataplane/rehearsal.ts";
import { REMOTE_FRAME_LIMIT, REMOTE_UDP_PORT, REMOTE_VNI, UNLIMITED } from "../dataplane/remote-table.ts";
import type { TableMemory, Tables } from "../dataplane/tables.ts";
import type { TraceCopy, TraceRequest, TraceStep, TraceView } from "../dataplane/trace-view.ts";
import { DISCARD } from "../dataplane/verdict.ts";
import { formatVtepAddress } from "../dataplane/vtep-address.ts";
import { DROP_REASON_COLUMNS, DROP_REASONS } from "../drop-reason.ts";
import { formatMac, isGroupMac, readMacHi, readMacLo } from "../wire/mac.ts";
import { PROTOCOL_UDP } from "../wire/underlay-headers.ts";
import { monotonicS } from "./clock.ts";
import { formatSocket, type Receivers } from "./receivers.ts";
import { fromDevice, fromVtep } from "./trace-frame.ts";
import { packetText } from "./trace-words.ts";
import type { Transmitters } from "./transmitters.ts";
import type { Tunnel } from "./tunnel.ts";

export interface TraceParts {
  readonly memory: TableMemory;
  readonly tables: Tables;
  readonly receivers: Receivers;
  readonly transmitters: Transmitters;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export class Traces {
  private readonly parts: TraceParts;

  constructor(parts: TraceParts) {
    this.parts = parts;
  }

  /** @throws ERR_USAGE, ERR_CONFIG_CONFLICT */
  trace(tunnel: Tunnel, { frame, from }: TraceRequest): TraceView {
    const isPacket = !tunnel.encapsulation.isEthernet;
    const parse = { step: "parse", text: packetText(frame, isPacket) };
    const { memory, tables } = this.parts;
    const now = { s: monotonicS(), ms: Math.trunc(performance.now()) & 0x7fffffff };
    if (from === undefined) {
      const outcome = rehearse(memory, now, fromDevice(tunnel, frame));
      return this.view(tunnel, "out", outcome, [
        parse,
        { step: "device", text: `read from ${tunnel.config.name}` },
        ...this.overlaySteps(tunnel, frame, outcome),
      ]);
    }
    const { receiver, header, spi, place } = fromVtep(tunnel, tables, from, frame);
    const how = spi === undefined ? `tunnel header ${hex(header) || "none"}` : `sealed by SPI ${spi}, opened`;
    const outcome = rehearse(memory, now, place);
    return this.view(tunnel, "in", outcome, [
      parse,
      {
        step: "receive",
        text: `from ${from} by ${formatSocket(receiver.spec)}, ${how}`,
      },
      ...this.underlaySteps(tunnel, frame, from, outcome),
    ]);
  }

  private view(tunnel: Tunnel, direction: "out" | "in", outcome: Outcome, before: readonly TraceStep[]): TraceView {
    const copies = outcome.copies.map((copy) => this.copy(copy));
    const row = tunnel.bd * DROP_COLUMNS + (direction === "out" ? ENCAP * DROP_REASON_COLUMNS : DROP_REASON_COLUMNS);
    // What was counted, as the worker counts it: a flooded frame may lose a copy.
    const counted = DROP_REASONS.findIndex((_, reason) => outcome.counters.drop[row + reason]! > 0);
    const reason = outcome.reason === 0 ? Math.max(counted, 0) : outcome.reason;
    const name = reason === 0 ? null : DROP_REASONS[reason]!.name;
    const end = outcomeOf(tunnel, direction, outcome);
    const why = name === null ? "" : `: ${name}, ${DROP_REASONS[reason]!.meaning}`;
    const waited = outcome.hasWaited
      ? [{ step: "wait", text: "until the remote VTEP, which is new, has been made known" }]
      : [];
    const sends = outcome.copies.map((copy, index) => this.sendStep(tunnel, copies[index]!, copy));
    const steps = [...before, ...waited, ...sends, { step: "outcome", text: `${end}${why}` }];
    return { dev: tunnel.config.name, direction, outcome: end, reason: name, steps, copies };
  }

  private overlaySteps(tunnel: Tunnel, frame: Uint8Array, outcome: Outcome): TraceStep[] {
    const steps: TraceStep[] = [];
    const { config, bd, encapsulation } = tunnel;
    if (config.vlan !== "pass")
      steps.push({ step: "vlan", text: `tags are ${config.vlan === "strip" ? "stripped" : "refused"}` });
    const answered = outcome.counters.link[bd * LINK_COLUMNS + LINK_NEIGHBOUR_ANSWERS]! > 0;
    if (config.arpProxy) {
      steps.push({ step: "neighbour", text: answered ? "a question that is answered here" : "nothing to answer" });
    }
    if (answered) return steps;
    if (!encapsulation.isEthernet) steps.push({ step: "route", text: this.routeText(outcome) });
    else if (frame.length >= 14) steps.push(this.lookupStep(tunnel, frame));
    if (outcome.counters.link[bd * LINK_COLUMNS + LINK_FLOODED]! > 0) steps.push(this.floodStep(tunnel));
    return steps;
  }

  /** Where the destination is, by the tables of before. */
  private lookupStep({ config, bd }: Tunnel, frame: Uint8Array): TraceStep {
    const { fdb } = this.parts.tables;
    const [hi, lo] = [readMacHi(frame, 0), readMacLo(frame, 0)];
    const mac = formatMac(hi, lo);
    if (isGroupMac(hi)) return { step: "fdb", text: `${mac} is a group address: to the flood list` };
    const handle = fdb.find(bd, hi, lo);
    if (handle >= 0) {
      const origin = fdb.isStatic(handle) ? "static" : "learned";
      return { step: "fdb", text: `${mac} is at ${this.remoteText(fdb.target(handle))}, ${origin}` };
    }
    const then = config.unknownUnicast === "flood" ? "to the flood list" : "unknown unicast is dropped";
    return { step: "fdb", text: `no entry for ${mac}: ${then}` };
  }

  private routeText({ copies }: Outcome): string {
    const remote = copies.find((copy) => copy.remote !== 0)?.remote;
    return remote === undefined ? "no remote VTEP for the destination" : `next remote VTEP ${this.remoteText(remote)}`;
  }

  private floodStep({ forwarding }: Tunnel): TraceStep {
    const places = forwarding.flood.places.map(({ remote }) => remote.address);
    return { step: "flood", text: places.length === 0 ? "the flood list is empty" : `to ${places.join(", ")}` };
  }

  private underlaySteps(tunnel: Tunnel, frame: Uint8Array, from: string, outcome: Outcome): TraceStep[] {
    const { forwarding, config, encapsulation, bd } = tunnel;
    const isKnown = forwarding.remotes.list().some(({ address }) => address === from);
    const accepts = config.accept === "any" ? "any is accepted" : "only known ones are accepted";
    const steps = [
      {
        step: "remote",
        text: isKnown ? `${from} is a remote VTEP of ${config.name}` : `${from} is none of ${config.name}: ${accepts}`,
      },
    ];
    if (encapsulation.isEthernet && frame.length >= 14) steps.push(this.learnStep(bd, frame, outcome));
    return steps;
  }

  /** What became of the source's entry: the tables of before against the copies. */
  private learnStep(bd: number, frame: Uint8Array, { after }: Outcome): TraceStep {
    const [hi, lo] = [readMacHi(frame, 6), readMacLo(frame, 6)];
    const mac = formatMac(hi, lo);
    const place = ({ fdb }: Tables): { target: number; isStatic: boolean } | undefined => {
      const handle = fdb.find(bd, hi, lo);
      return handle < 0 ? undefined : { target: fdb.target(handle), isStatic: fdb.isStatic(handle) };
    };
    const [before, now] = [place(this.parts.tables), place(after)];
    const at = (slot: number): string => this.remoteText(slot);
    if (now === undefined) return { step: "learn", text: `${mac} is not learned` };
    if (before === undefined) return { step: "learn", text: `${mac} is learned at ${at(now.target)}` };
    if (before.target !== now.target)
      return { step: "learn", text: `${mac} moves from ${at(before.target)} to ${at(now.target)}` };
    return { step: "learn", text: `${mac} is at ${at(now.target)} ${now.isStatic ? "by a static entry" : "already"}` };
  }

  private sendStep({ associations }: Tunnel, copy: TraceCopy, { remote, bytes }: RehearsedCopy): TraceStep {
    if (copy.to === null) return { step: "deliver", text: `${bytes.length} bytes to the device` };
    const limit = this.parts.tables.remotes.get(remote, REMOTE_FRAME_LIMIT);
    const size = limit === UNLIMITED ? `${bytes.length} bytes` : `${bytes.length} of at most ${limit} bytes`;
    const isUdp = copy.protocol === PROTOCOL_UDP;
    const way = isUdp ? `UDP ${copy.sourcePort || "any"} > ${copy.port}` : `IP protocol ${copy.protocol}`;
    const spi = associations.outboundSpi;
    const open = copy.header === "" ? "no header" : `header ${copy.header}`;
    const header = spi === undefined ? open : `to be sealed by SPI ${spi}`;
    const df = copy.df ? ", DF" : "";
    return {
      step: "send",
      text: `to ${copy.to} from ${copy.from}, ${way}, TTL ${copy.ttl}, TOS ${copy.tos}${df}, ${header}, ${size}`,
    };
  }

  private copy({ port, remote, header, bytes, outer }: RehearsedCopy): TraceCopy {
    const none = { to: null, port: null, from: null, sourcePort: null, protocol: null, ttl: null, tos: null, df: null };
    if (remote === 0) return { ...none, header: hex(header), frame: hex(bytes) };
    const { tables, transmitters, receivers } = this.parts;
    const socket = transmitters.socketOf(port, 0);
    const own = receivers.list().find((receiver) => receiver.port === port)?.spec;
    const fd = socket?.fd;
    const protocol = socket?.protocol ?? own?.protocol ?? null;
    return {
      to: formatVtepAddress(tables.remotes.address(remote)),
      port: tables.remotes.get(remote, REMOTE_UDP_PORT),
      from: (socket?.local ?? own?.address)?.text ?? null,
      sourcePort: own?.port ?? (fd === undefined || protocol !== PROTOCOL_UDP ? 0 : addon.udpPort(fd)),
      protocol,
      ttl: (outer & OUTER_TTL) === 0 ? "default" : (outer >> 8) & 255,
      tos: (outer & OUTER_TOS) === 0 ? 0 : outer & 255,
      df: (outer & OUTER_DF) !== 0 || socket?.hasDf === true,
      header: hex(header),
      frame: hex(bytes),
    };
  }

  private remoteText(slot: number): string {
    const { remotes } = this.parts.tables;
    return `${formatVtepAddress(remotes.address(slot))} port ${remotes.get(slot, REMOTE_UDP_PORT)} vni ${remotes.get(slot, REMOTE_VNI)}`;
  }
}

const outcomeOf = (
  { bd }: Tunnel,
  direction: "out" | "in",
  { copies, verdict, counters }: Outcome,
): TraceView["outcome"] => {
  if (copies.length === 0 || verdict === DISCARD) return "dropped";
  if (direction === "in") return copies.some(({ remote }) => remote !== 0) ? "answered" : "delivered";
  if (copies.every(({ remote }) => remote === 0)) return "answered";
  return counters.link[bd * LINK_COLUMNS + LINK_FLOODED]! > 0 ? "flooded" : "sent";
};
