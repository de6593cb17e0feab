/**
 * How many entries each bridge domain and each remote VTEP has, and how many of the learned ones it may have. Counts are
 * changed under the FDB's lock and read without it; the policy is the main thread's.
 */
import {
  ASKED,
  DAMPED,
  FAIR,
  FDB_DOMAIN_WORDS,
  type FdbMemory,
  FIXED,
  LEARNED,
  LIMIT,
  LIMIT_PER_REMOTE,
  MOST,
  OPTIONS,
  SHARE,
} from "./fdb-memory.ts";

/** What a bridge domain's learned entries may be. */
export interface FdbPolicy {
  /** Learned entries in all; 0 = as many as there is room for. */
  readonly limit: number;
  /** And behind one remote VTEP; 0 = no limit of its own. */
  readonly limitPerRemote: number;
  /** When the limit is reached: whether entries of remote VTEPs with many make room for those with few. */
  readonly isFair: boolean;
  /** Whether an entry that moves too often is held where it is. */
  readonly isDamped: boolean;
}

export class FdbAccounts {
  private readonly domains: Int32Array;
  private readonly targets: Int32Array;

  constructor({ domains, targets }: FdbMemory) {
    this.domains = domains;
    this.targets = targets;
  }

  /** From now on; a bridge domain begins without limits. Main thread. */
  setPolicy(bd: number, policy: FdbPolicy): void {
    const row = bd * FDB_DOMAIN_WORDS;
    Atomics.store(this.domains, row + LIMIT, policy.limit);
    Atomics.store(this.domains, row + LIMIT_PER_REMOTE, policy.limitPerRemote);
    Atomics.store(this.domains, row + OPTIONS, (policy.isFair ? FAIR : 0) | (policy.isDamped ? DAMPED : 0));
  }

  limit(bd: number): number {
    return this.domains[bd * FDB_DOMAIN_WORDS + LIMIT]!;
  }

  /** Whether the bridge domain has all the learned entries it may have. */
  isFull(bd: number): boolean {
    const row = bd * FDB_DOMAIN_WORDS;
    const limit = this.domains[row + LIMIT]!;
    return limit !== 0 && this.domains[row + LEARNED]! >= limit;
  }

  /** Whether the remote VTEP has all the learned entries it may have. */
  isRemoteFull(bd: number, target: number): boolean {
    const limit = this.domains[bd * FDB_DOMAIN_WORDS + LIMIT_PER_REMOTE]!;
    return limit !== 0 && this.targets[target]! >= limit;
  }

  /** Whether the remote VTEP has its share of a bridge domain that is, or was just now, full. */
  hasItsShare(bd: number, target: number): boolean {
    const share = this.domains[bd * FDB_DOMAIN_WORDS + SHARE]!;
    return share !== 0 && this.targets[target]! >= share;
  }

  isDamped(bd: number): boolean {
    return (this.domains[bd * FDB_DOMAIN_WORDS + OPTIONS]! & DAMPED) !== 0;
  }

  /** Whether a remote VTEP of a full bridge domain may have entries of another evicted. */
  mayAsk(bd: number, target: number): boolean {
    const row = bd * FDB_DOMAIN_WORDS;
    return (this.domains[row + OPTIONS]! & FAIR) !== 0 && this.targets[target]! + 1 < this.domains[row + MOST]!;
  }

  /** True once for each value of `tick`, give or take a worker. */
  ask(bd: number, tick: number): boolean {
    const row = bd * FDB_DOMAIN_WORDS;
    if (this.domains[row + ASKED] === tick) return false;
    this.domains[row + ASKED] = tick;
    return true;
  }

  /** 0 = no share. Main thread. */
  setShare(bd: number, share: number): void {
    Atomics.store(this.domains, bd * FDB_DOMAIN_WORDS + SHARE, share);
  }

  /** What was found to be the most; workers only ever raise it. Main thread. */
  setMost(bd: number, most: number): void {
    Atomics.store(this.domains, bd * FDB_DOMAIN_WORDS + MOST, most);
  }

  learned(bd: number): number {
    return this.domains[bd * FDB_DOMAIN_WORDS + LEARNED]!;
  }

  fixed(bd: number): number {
    return this.domains[bd * FDB_DOMAIN_WORDS + FIXED]!;
  }

  /** Learned entries that lead to a remote slot. */
  learnedAt(target: number): number {
    return this.targets[target]!;
  }

  addLearned(bd: number, target: number): void {
    this.domains[bd * FDB_DOMAIN_WORDS + LEARNED]!++;
    this.raise(bd, target);
  }

  removeLearned(bd: number, target: number): void {
    this.domains[bd * FDB_DOMAIN_WORDS + LEARNED]!--;
    this.targets[target]!--;
  }

  addFixed(bd: number): void {
    this.domains[bd * FDB_DOMAIN_WORDS + FIXED]!++;
  }

  removeFixed(bd: number): void {
    this.domains[bd * FDB_DOMAIN_WORDS + FIXED]!--;
  }

  move(bd: number, from: number, to: number): void {
    this.targets[from]!--;
    this.raise(bd, to);
  }

  private raise(bd: number, target: number): void {
    const count = this.targets[target]! + 1;
    const most = bd * FDB_DOMAIN_WORDS + MOST;
    this.targets[target] = count;
    if (count > this.domains[most]!) this.domains[most] = count;
  }
}
