/**
 * Tells whoever listens of the remote VTEPs: which are new or gone, which are heard and which have fallen silent, and what
 * the path to them carries. As link-watch.ts it compares once a second, and does nothing while nobody listens.
 */
import { type Counters, REMOTE_COLUMNS, REMOTE_RX_FRAMES } from "../dataplane/counters.ts";
import type { EventView } from "../dataplane/event-view.ts";
import type { Tunnel } from "./tunnel.ts";

type PeerEvent = Extract<EventView, { readonly event: "peer" }>;

/** Seconds without a frame after which one that was heard counts as silent. */
const SILENT_S = 30;

interface Peer {
  readonly dev: string;
  readonly address: string;
  readonly slot: number;
  rxFrames: number;
  pathMtu: number;
  /** Undefined = nothing has come from it since somebody listens. */
  heardS: number | undefined;
}

export class PeerWatch {
  private readonly tunnels: ReadonlyMap<string, Tunnel>;
  private readonly counters: readonly Counters[];
  private readonly emit: (event: PeerEvent) => void;
  private peers: Map<string, Peer> | undefined;

  constructor(tunnels: ReadonlyMap<string, Tunnel>, counters: readonly Counters[], emit: (event: PeerEvent) => void) {
    this.tunnels = tunnels;
    this.counters = counters;
    this.emit = emit;
  }

  /** From now on differences are told. Who was ever heard before is not new. */
  begin(nowS: number): void {
    this.peers = this.look();
    for (const peer of this.peers.values()) if (peer.rxFrames > 0) peer.heardS = nowS;
  }

  end(): void {
    this.peers = undefined;
  }

  tick(nowS: number): void {
    const before = this.peers;
    if (before === undefined) return;
    const now = this.look();
    this.peers = now;
    for (const [key, peer] of before) if (!now.has(key)) this.tell(peer, "removed");
    for (const [key, peer] of now) this.compare(before.get(key), peer, nowS);
  }

  private compare(before: Peer | undefined, now: Peer, nowS: number): void {
    if (before === undefined) this.tell(now, "added");
    else if (before.pathMtu !== now.pathMtu) this.tell(now, "path-mtu", now.pathMtu);
    now.heardS = before?.heardS;
    if (now.rxFrames > (before?.slot === now.slot ? before.rxFrames : 0)) {
      if (now.heardS === undefined) this.tell(now, "heard");
      now.heardS = nowS;
    } else if (now.heardS !== undefined && nowS - now.heardS >= SILENT_S) {
      this.tell(now, "silent");
      now.heardS = undefined;
    }
  }

  private tell({ dev, address }: Peer, change: PeerEvent["change"], pathMtu?: number): void {
    this.emit({ event: "peer", dev, address, change, ...(pathMtu === undefined ? {} : { pathMtu }) });
  }

  /** Those with the tunnel's own UDP port, VNI and interface: the others are the same VTEPs again. */
  private look(): Map<string, Peer> {
    const peers = new Map<string, Peer>();
    for (const [dev, { forwarding }] of this.tunnels) {
      const { remotes } = forwarding;
      for (const remote of remotes.list()) {
        if (!remotes.isPlain(remote)) continue;
        const { address, slot } = remote;
        const rxFrames = this.received(slot);
        const pathMtu = remotes.pathMtu(slot);
        peers.set(`${dev} ${address}`, { dev, address, slot, rxFrames, pathMtu, heardS: undefined });
      }
    }
    return peers;
  }

  private received(slot: number): number {
    let frames = 0;
    for (const { remote } of this.counters) frames += remote[slot * REMOTE_COLUMNS + REMOTE_RX_FRAMES]!;
    return frames;
  }
}
