/**
 * How many entries each bridge domain and each remote VTEP has, and how many of the learned ones it may have. Counts are
 * changed under the FDB's lock and read without it; the policy is the main thread's.
 */
import { FDB_DOMAIN_WORDS, type FdbMemory, FIXED, LEARNED, LIMIT, LIMIT_PER_REMOTE } from "./fdb-memory.ts";

/** What a bridge domain's learned entries may be. */
export interface FdbPolicy {
  /** Learned entries in all; 0 = as many as there is room for. */
  readonly limit: number;
  /** And behind one remote VTEP; 0 = no limit of its own. */
  readonly limitPerRemote: number;
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
    this.targets[target]!++;
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

  move(from: number, to: number): void {
    this.targets[from]!--;
    this.targets[to]!++;
  }
}
