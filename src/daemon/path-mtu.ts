/**
 * Path MTUs of the remote VTEPs: how large a packet to each the underlay carries, written into the remote table as the
 * largest frame that fits (REMOTE_FRAME_LIMIT).
 *
 * The kernel knows: the MTU of the route and of its interface, and what ICMP "packet too big" has told of the path, which it
 * checks against the socket that the quoted packet came from, bounds below (`net.ipv4.route.min_pmtu`, 552; 1280 over IPv6) and
 * forgets after ten minutes (`net.ipv4.route.mtu_expires`). So nothing is remembered here; the kernel is asked, through a
 * socket that is set as those which send are: for a new remote at once, as soon as a worker says that a packet to it was
 * refused for its size, and by turns, a few each second, so that routes that change and paths that heal are noticed. An
 * answer costs some microseconds. Remotes with the same path share an entry, however many tunnels have them. Main thread.
 */
import { addon } from "../binding/addon.ts";
import { type RemoteTable, UNLIMITED } from "../dataplane/remote-table.ts";
import type { VtepAddress } from "../dataplane/vtep-address.ts";

/** Paths asked about in one turn. */
const TURN = 64;
/** Refusals go on for as long as a sender does not listen; one question answers them all for this long. */
const REST_MS = 20;

export interface PathKey {
  /** A socket of ours that nothing is sent through. */
  readonly probeFd: number;
  readonly address: VtepAddress;
  readonly port: number;
  readonly scopeId: number;
}

interface Path extends PathKey {
  /** And the bytes of the largest frame that a packet of so many bytes carries, which depends on the tunnel. */
  readonly slots: Map<number, (mtu: number) => number>;
  /** Bytes of the largest packet; 0 = the kernel knows no way. */
  mtu: number;
  /** When the kernel was asked last. */
  askedMs: number;
}

export class PathMtus {
  private readonly remotes: RemoteTable;
  private readonly ask: (key: PathKey) => number;
  private readonly paths = new Map<string, Path>();
  private readonly bySlot = new Map<number, Path>();
  /** Of the turn under way: keys that are still to be asked about. */
  private waiting: string[] = [];

  constructor(remotes: RemoteTable, ask: (key: PathKey) => number = askKernel) {
    this.remotes = remotes;
    this.ask = ask;
  }

  /** Begins to keep the limit of a slot. */
  add(slot: number, key: PathKey, frameBytes: (mtu: number) => number): void {
    const text = textOf(key);
    const known = this.paths.get(text);
    const path = known ?? { ...key, slots: new Map<number, (mtu: number) => number>(), mtu: 0, askedMs: 0 };
    if (known === undefined) {
      this.paths.set(text, path);
      path.mtu = this.ask(path);
    }
    path.slots.set(slot, frameBytes);
    this.bySlot.set(slot, path);
    this.write(path, slot);
  }

  remove(slot: number): void {
    const path = this.bySlot.get(slot);
    if (path === undefined) return;
    this.bySlot.delete(slot);
    path.slots.delete(slot);
    if (path.slots.size === 0) this.paths.delete(textOf(path));
  }

  /** Bytes of the largest packet to the remote, 0 when nobody knows. */
  of(slot: number): number {
    return this.bySlot.get(slot)?.mtu ?? 0;
  }

  /** What is known is out of date: a packet was refused for its size, or the route is another one. */
  outdated(slot: number, nowMs: number): void {
    const path = this.bySlot.get(slot);
    if (path === undefined || nowMs - path.askedMs < REST_MS) return;
    path.askedMs = nowMs;
    this.refresh(path);
  }

  tick(): void {
    if (this.waiting.length === 0) this.waiting = [...this.paths.keys()];
    for (const text of this.waiting.splice(-TURN)) {
      const path = this.paths.get(text);
      if (path !== undefined) this.refresh(path);
    }
  }

  private refresh(path: Path): void {
    const mtu = this.ask(path);
    if (mtu === path.mtu) return;
    path.mtu = mtu;
    for (const slot of path.slots.keys()) this.write(path, slot);
  }

  private write({ mtu, slots }: Path, slot: number): void {
    this.remotes.setFrameLimit(slot, mtu === 0 ? UNLIMITED : slots.get(slot)!(mtu));
  }
}

const askKernel = ({ probeFd, address, port, scopeId }: PathKey): number =>
  addon.pathMtu(probeFd, address.bytes, port, scopeId);

const textOf = ({ probeFd, address, port, scopeId }: PathKey): string =>
  `${probeFd} ${address.text} ${port} ${scopeId}`;
