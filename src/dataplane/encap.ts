/**
 * Verdicts become actions, in the order in which the frames came: one action per copy to be sent. Keeping arrival order
 * (rather than a list per verdict) keeps a flow in order when its destination becomes known in the middle of a batch.
 *
 * A unicast frame has one action, a flooded one as many as its flood list is long (head-end replication: the copies share
 * the frame's bytes and differ in header and address). Neighbouring flooded frames of one bridge domain are a run, made remote by
 * remote: each remote VTEP gets them in their order, and what it gets is together, which makes few messages of many
 * datagrams (UDP_SEGMENT). When the action table is full it is sent and filled again.
 * A superframe is one action, whatever it is cut into later. Copies are counted when they are made and taken back by `settle` when the kernel refused them.
 */
import {
  ACTION_BD,
  ACTION_FRAME,
  ACTION_OUTER,
  ACTION_PORT,
  ACTION_RESULT,
  ACTION_TEMPLATE,
  ACTION_TEMPLATE_LENGTH,
  ACTION_VTEP,
  ACTION_WORDS,
  FLAG_IP_PACKET,
  FLAG_IPV6,
  FRAME_BD,
  FRAME_FLAGS,
  FRAME_FLOW_HASH,
  FRAME_INNER_IP,
  FRAME_LENGTH,
  FRAME_REASON,
  FRAME_SEGMENTS,
  FRAME_TARGET,
  FRAME_VERDICT,
  FRAME_WORDS,
  MAX_ACTIONS,
  OUTER_DF,
} from "../binding/abi.ts";
import { DROP_REASON_COLUMNS, NO_TX_TARGET, PKT_TOO_BIG, ROUTE_RECURSION } from "../drop-reason.ts";
import type { Batch } from "./batch.ts";
import { BD_FLOOD, BD_MSS_CLAMP, BD_OUTER, BD_WORDS } from "./bridge-domain.ts";
import {
  type Counters,
  DECAP,
  DROP_COLUMNS,
  ENCAP,
  LINK_COLUMNS,
  LINK_FLOODED,
  LINK_RX_BYTES,
  LINK_RX_FRAMES,
  LINK_TX_BYTES,
  LINK_TX_FRAMES,
  REMOTE_COLUMNS,
  REMOTE_TX_BYTES,
  REMOTE_TX_FRAMES,
} from "./counters.ts";
import { CLAMP_OFF, MssClamp } from "./mss-clamp.ts";
import { outerFields } from "./outer-header.ts";
import { Oversize } from "./oversize.ts";
import {
  REMOTE_FRAME_LIMIT,
  REMOTE_TEMPLATE_LENGTH,
  REMOTE_TX_DF_STEP,
  REMOTE_TX_IPV6_STEP,
  REMOTE_TX_MASK,
  REMOTE_TX_PORT,
  REMOTE_UNDERLAY_BYTES,
  REMOTE_WORDS,
  TEMPLATE_BYTES,
  TEMPLATE_IPV6_BYTES,
  UNLIMITED,
} from "./remote-table.ts";
import { dropReasonOfErrno } from "./send-error.ts";
import type { Tables } from "./tables.ts";
import { UPCALL_BD, UPCALL_KIND, UPCALL_PKT_TOO_BIG, UPCALL_REMOTE, type UpcallRing } from "./upcall-ring.ts";
import { DELIVER, DISCARD, ECHO, FLOOD, UNICAST } from "./verdict.ts";
import { wireBytes } from "./wire-bytes.ts";

const IPV6_PACKET = FLAG_IP_PACKET | FLAG_IPV6;

/** The half of an Io that sending needs. */
export interface Sender {
  send(count: number): number;
}

export class Encapsulator {
  private readonly frames: Int32Array;
  private readonly actions: Int32Array;
  private readonly domains: Int32Array;
  private readonly floods: Int32Array;
  private readonly remotes: Int32Array;
  private readonly counters: Counters;
  private sender: Sender;
  private readonly oversize: Oversize;
  private readonly mssClamp: MssClamp;
  private readonly upcalls: UpcallRing;
  private count = 0;
  /** Runs flooded so far: each begins with another member, so that when a send queue is full not always the same ones lose. */
  private runs = 0;

  constructor(batch: Batch, tables: Tables, counters: Counters, upcalls: UpcallRing, sender: Sender) {
    this.frames = batch.frames;
    this.actions = batch.actions;
    this.domains = tables.bridgeDomains.words;
    this.floods = tables.floods.words;
    this.remotes = tables.remotes.memory.words;
    this.counters = counters;
    this.upcalls = upcalls;
    this.sender = sender;
    this.mssClamp = new MssClamp(batch, tables);
    this.oversize = new Oversize(batch, tables, counters);
  }

  /** Makes the actions of the frames from `first` to before `end`, all classified, and sends them. */
  run(first: number, end: number): void {
    const { frames } = this;
    for (let frame = first; frame < end; frame++) {
      const row = frame * FRAME_WORDS;
      const verdict = frames[row + FRAME_VERDICT]!;
      if (verdict === DISCARD) continue; // counted where it was decided
      if (verdict === UNICAST) this.unicast(frame, row, frames[row + FRAME_TARGET]!);
      else if (verdict === DELIVER) this.toAccess(frame, row);
      else if (verdict === ECHO) this.echo(frame, row);
      else frame = this.flood(frame, end) - 1;
    }
    this.flush();
  }

  /** From the next batch on. */
  sendThrough(sender: Sender): void {
    this.sender = sender;
  }

  private unicast(frame: number, row: number, remote: number): void {
    if (this.fits(row, remote)) this.toRemote(frame, row, remote);
    else this.refuse(frame, row, this.remotes[remote * REMOTE_WORDS + REMOTE_FRAME_LIMIT]!);
  }

  /** Whether the frame, or each segment of it, goes into one packet on the way to the remote, or may be fragmented. */
  private fits(row: number, remote: number): boolean {
    const limit = this.remotes[remote * REMOTE_WORDS + REMOTE_FRAME_LIMIT]!;
    return this.frames[row + FRAME_LENGTH]! <= limit || this.oversize.passes(row, limit);
  }

  private refuse(frame: number, row: number, limit: number): void {
    if (this.oversize.refuse(row, limit)) this.toAccess(frame, row);
  }

  private toRemote(frame: number, row: number, remote: number): void {
    if (this.count === MAX_ACTIONS) this.flush();
    const { frames, actions, remotes, counters, domains } = this;
    const bd = frames[row + FRAME_BD]!;
    const segments = frames[row + FRAME_SEGMENTS]!;
    const bytes = wireBytes(frames, row, segments);
    if (domains[bd * BD_WORDS + BD_MSS_CLAMP] !== CLAMP_OFF) this.mssClamp.apply(row, bd, remote);
    const action = this.count++ * ACTION_WORDS;
    const slot = remote * REMOTE_WORDS;
    const outer = outerFields(domains[bd * BD_WORDS + BD_OUTER]!, frames[row + FRAME_INNER_IP]!);
    const isIpv6Packet = (frames[row + FRAME_FLAGS]! & IPV6_PACKET) === IPV6_PACKET;
    actions[action + ACTION_PORT] =
      remotes[slot + REMOTE_TX_PORT]! +
      (frames[row + FRAME_FLOW_HASH]! & remotes[slot + REMOTE_TX_MASK]!) +
      ((outer & OUTER_DF) === 0 ? 0 : remotes[slot + REMOTE_TX_DF_STEP]!) +
      (isIpv6Packet ? remotes[slot + REMOTE_TX_IPV6_STEP]! : 0);
    actions[action + ACTION_FRAME] = frame;
    actions[action + ACTION_TEMPLATE] = remote * TEMPLATE_BYTES + (isIpv6Packet ? TEMPLATE_IPV6_BYTES : 0);
    actions[action + ACTION_TEMPLATE_LENGTH] = remotes[slot + REMOTE_TEMPLATE_LENGTH]!;
    actions[action + ACTION_VTEP] = remote;
    actions[action + ACTION_OUTER] = outer;
    actions[action + ACTION_BD] = bd;
    counters.link[bd * LINK_COLUMNS + LINK_TX_FRAMES]! += segments;
    counters.link[bd * LINK_COLUMNS + LINK_TX_BYTES]! += bytes;
    counters.remote[remote * REMOTE_COLUMNS + REMOTE_TX_FRAMES]! += segments;
    counters.remote[remote * REMOTE_COLUMNS + REMOTE_TX_BYTES]! += bytes;
  }

  /** Back to its remote VTEP, with nothing in front: the frame is a tunnel header itself. */
  private echo(frame: number, row: number): void {
    const remote = this.frames[row + FRAME_TARGET]!;
    this.toRemote(frame, row, remote);
    const action = (this.count - 1) * ACTION_WORDS;
    this.actions[action + ACTION_TEMPLATE_LENGTH] = this.remotes[remote * REMOTE_WORDS + REMOTE_UNDERLAY_BYTES]!;
    this.actions[action + ACTION_OUTER] = 0;
  }

  /** Floods the run of frames that begins with `first` and returns its end. */
  private flood(first: number, count: number): number {
    const { frames, floods, counters } = this;
    const bd = frames[first * FRAME_WORDS + FRAME_BD]!;
    const end = this.endOfRun(first, count, bd);
    const list = this.domains[bd * BD_WORDS + BD_FLOOD]!;
    const members = floods[list]!;
    let segments = 0;
    for (let row = first * FRAME_WORDS; row < end * FRAME_WORDS; row += FRAME_WORDS) {
      segments += frames[row + FRAME_SEGMENTS]!;
    }
    if (members === 0) {
      for (let frame = first; frame < end; frame++) frames[frame * FRAME_WORDS + FRAME_REASON] = NO_TX_TARGET;
      counters.drop[bd * DROP_COLUMNS + ENCAP * DROP_REASON_COLUMNS + NO_TX_TARGET]! += segments;
      return end;
    }
    counters.link[bd * LINK_COLUMNS + LINK_FLOODED]! += segments;
    let allFit = true;
    const turn = this.runs % members;
    this.runs = (this.runs + 1) & 0x3fffffff;
    for (let n = 0; n < members; n++) {
      const member = turn + n < members ? turn + n : turn + n - members;
      const remote = floods[list + 1 + member]!;
      for (let frame = first; frame < end; frame++) {
        const row = frame * FRAME_WORDS;
        if (this.fits(row, remote)) this.toRemote(frame, row, remote);
        else allFit = false;
      }
    }
    if (!allFit) this.refuseOfRun(first, end, list);
    return end;
  }

  /** The first frame from `first` on that is not flooded in the bridge domain. */
  private endOfRun(first: number, count: number, bd: number): number {
    const { frames } = this;
    let end = first + 1;
    while (
      end < count &&
      frames[end * FRAME_WORDS + FRAME_VERDICT] === FLOOD &&
      frames[end * FRAME_WORDS + FRAME_BD] === bd
    ) {
      end++;
    }
    return end;
  }

  /** Those of a run that were too large for some of the flood list: one answer each, for the smallest limit. */
  private refuseOfRun(first: number, end: number, list: number): void {
    const { floods, remotes } = this;
    this.flush(); // An answer is made of the bytes that the other copies share.
    for (let frame = first; frame < end; frame++) {
      const row = frame * FRAME_WORDS;
      let limit = UNLIMITED;
      for (let member = 1; member <= floods[list]!; member++) {
        const remote = floods[list + member]!;
        if (!this.fits(row, remote)) limit = Math.min(limit, remotes[remote * REMOTE_WORDS + REMOTE_FRAME_LIMIT]!);
      }
      if (limit !== UNLIMITED) this.refuse(frame, row, limit);
    }
  }

  private toAccess(frame: number, row: number): void {
    if (this.count === MAX_ACTIONS) this.flush();
    const { frames, actions } = this;
    const action = this.count++ * ACTION_WORDS;
    actions[action + ACTION_PORT] = frames[row + FRAME_TARGET]!;
    actions[action + ACTION_FRAME] = frame;
    actions[action + ACTION_VTEP] = 0;
    actions[action + ACTION_BD] = frames[row + FRAME_BD]!;
  }

  private flush(): void {
    if (this.count === 0) return;
    if (this.sender.send(this.count) > 0) this.settle(this.count);
    this.count = 0;
  }

  /** Takes back what was counted for refused copies and counts the reason instead. */
  private settle(count: number): void {
    const { frames, actions, counters } = this;
    let told = 0;
    for (let action = 0; action < count * ACTION_WORDS; action += ACTION_WORDS) {
      const errno = actions[action + ACTION_RESULT]!;
      if (errno === 0) continue;
      const bd = actions[action + ACTION_BD]!;
      const remote = actions[action + ACTION_VTEP]!;
      const row = actions[action + ACTION_FRAME]! * FRAME_WORDS;
      const segments = frames[row + FRAME_SEGMENTS]!;
      const bytes = wireBytes(frames, row, segments);
      const link = bd * LINK_COLUMNS;
      const reason = actions[action + ACTION_PORT]! < 0 ? ROUTE_RECURSION : dropReasonOfErrno(errno);
      if (reason === PKT_TOO_BIG && remote !== told) {
        told = remote;
        this.tellTooBig(bd, remote);
      }
      // Of a flooded frame only a copy is lost.
      if (frames[row + FRAME_VERDICT] !== FLOOD) frames[row + FRAME_REASON] = reason;
      const direction = remote === 0 ? DECAP : ENCAP;
      counters.drop[bd * DROP_COLUMNS + direction * DROP_REASON_COLUMNS + reason]! += segments;
      if (remote === 0) {
        counters.link[link + LINK_RX_FRAMES]! -= segments;
        counters.link[link + LINK_RX_BYTES]! -= bytes;
      } else {
        counters.link[link + LINK_TX_FRAMES]! -= segments;
        counters.link[link + LINK_TX_BYTES]! -= bytes;
        counters.remote[remote * REMOTE_COLUMNS + REMOTE_TX_FRAMES]! -= segments;
        counters.remote[remote * REMOTE_COLUMNS + REMOTE_TX_BYTES]! -= bytes;
      }
    }
  }

  /** The main thread shall ask the kernel what the path carries now. */
  private tellTooBig(bd: number, remote: number): void {
    const { upcalls } = this;
    const record = upcalls.begin();
    if (record === 0) return;
    const words = upcalls.record;
    words[record + UPCALL_KIND] = UPCALL_PKT_TOO_BIG;
    words[record + UPCALL_BD] = bd;
    words[record + UPCALL_REMOTE] = remote;
    upcalls.commit();
  }
}
