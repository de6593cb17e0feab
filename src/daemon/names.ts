/**
 * Host names of remote VTEPs: who holds which, and what each one means now. A name that is held is asked for again when its
 * TTL is over; an answer that differs is told to the tunnels that hold it. A failure changes nothing: the last answer
 * holds, and the name is asked for again at growing intervals. Each change, and each first failure, is logged once.
 *
 * Tunnels share a name when they have the same address families. Main thread.
 */
import { isIPv6 } from "node:net";
import type { Logger } from "pino";
import type { TunnelConfig } from "../config/config.ts";
import { isHostName } from "../dataplane/host-name.ts";
import { VtepdError } from "../errors.ts";
import type { Family, NameResolver } from "../host/name-resolver.ts";

/** A TTL of 0 shall not keep anybody busy, and one of a week not hide a change for ever. */
const MIN_TTL_S = 5;
const MAX_TTL_S = 3600;
const RETRY_MIN_S = 5;
const RETRY_MAX_S = 300;
/** How long a start or a request waits for first answers. */
const FIRST_ANSWER_MS = 3000;

interface Watched {
  readonly key: string;
  readonly name: string;
  readonly families: readonly Family[];
  readonly holders: Map<TunnelNames, number>;
  /** Canonical text, in order; empty = never resolved. */
  addresses: readonly string[];
  /** Resolves with the first answer or failure. */
  first: Promise<void>;
  /** In a row. */
  failures: number;
  timer: NodeJS.Timeout | undefined;
}

export class Names {
  private readonly resolver: Pick<NameResolver, "resolve" | "stop">;
  private readonly log: Logger;
  private readonly watched = new Map<string, Watched>();
  private stopped = false;

  constructor(resolver: Pick<NameResolver, "resolve" | "stop">, log: Logger) {
    this.resolver = resolver;
    this.log = log;
  }

  /** A tunnel's view of it. @param onAnswer told of a name whose addresses are others now */
  of(config: TunnelConfig, onAnswer: (name: string) => void): TunnelNames {
    return new TunnelNames(this, familiesOf(config), onAnswer);
  }

  /** Asks for all names of the tunnels, so that they are known when the tunnels are made. Returns what lets go of them. */
  async prepare(tunnels: readonly TunnelConfig[]): Promise<() => void> {
    const steps = await Promise.all(
      tunnels.map((config) => {
        const { remote, flood, fdb } = config;
        const all = [...(remote === undefined ? [] : [remote]), ...flood, ...fdb.map(({ dst }) => dst)];
        return this.of(config, () => {}).prepare(all);
      }),
    );
    return () => {
      for (const step of steps) step();
    };
  }

  stop(): void {
    this.stopped = true;
    for (const { timer } of this.watched.values()) clearTimeout(timer);
    this.resolver.stop();
  }

  hold(holder: TunnelNames, name: string, families: readonly Family[]): Watched {
    const key = `${name} ${families.join()}`;
    const known = this.watched.get(key);
    const watched = known ?? {
      key,
      name,
      families,
      holders: new Map<TunnelNames, number>(),
      addresses: [],
      first: Promise.resolve(),
      failures: 0,
      timer: undefined,
    };
    watched.holders.set(holder, (watched.holders.get(holder) ?? 0) + 1);
    if (known === undefined) {
      this.watched.set(key, watched);
      watched.first = this.ask(watched);
    }
    return watched;
  }

  /** Returns whether the holder still holds it. */
  release(holder: TunnelNames, watched: Watched): boolean {
    const holds = watched.holders.get(holder)! - 1;
    if (holds > 0) watched.holders.set(holder, holds);
    else watched.holders.delete(holder);
    if (watched.holders.size === 0) {
      clearTimeout(watched.timer);
      this.watched.delete(watched.key);
    }
    return holds > 0;
  }

  private async ask(watched: Watched): Promise<void> {
    const delayS = await this.resolver.resolve(watched.name, watched.families).then(
      ({ addresses, ttlS }) => {
        this.answered(watched, addresses);
        return Math.min(Math.max(ttlS, MIN_TTL_S), MAX_TTL_S);
      },
      (error: unknown) => this.failed(watched, error),
    );
    if (this.stopped || watched.holders.size === 0) return;
    watched.timer = setTimeout(() => void this.ask(watched), delayS * 1000);
  }

  private answered(watched: Watched, addresses: readonly string[]): void {
    if (this.stopped || watched.holders.size === 0) return;
    const { name, failures } = watched;
    const before = watched.addresses;
    watched.failures = 0;
    if (before.join() === addresses.join()) {
      if (failures > 0) this.log.info({ name, addresses }, "host name resolves again, to the same addresses");
      return;
    }
    watched.addresses = addresses;
    const fields = { name, addresses, ...(before.length === 0 ? {} : { before }) };
    this.log.info(fields, before.length === 0 ? "host name has addresses" : "host name has other addresses");
    for (const holder of [...watched.holders.keys()]) {
      try {
        holder.onAnswer(name);
      } catch (error) {
        this.log.error({ name, err: error }, "a tunnel cannot follow the addresses of a host name");
      }
    }
  }

  /** Returns seconds until the next try. */
  private failed(watched: Watched, error: unknown): number {
    const { name, addresses: kept } = watched;
    if (watched.failures++ === 0 && !this.stopped) {
      const { code, message } = error as VtepdError;
      const fields = { name, code, reason: message, ...(error instanceof VtepdError ? {} : { err: error }) };
      if (kept.length > 0) this.log.warn({ ...fields, kept }, "host name cannot be resolved; its last addresses hold");
      else this.log.warn(fields, "host name cannot be resolved yet; tunnels do without that remote VTEP");
    }
    return Math.min(RETRY_MIN_S * 2 ** (watched.failures - 1), RETRY_MAX_S);
  }
}

/** The names of one tunnel. */
export class TunnelNames {
  readonly onAnswer: (name: string) => void;
  private readonly names: Names;
  private readonly families: readonly Family[];
  private readonly held = new Map<string, Watched>();

  constructor(names: Names, families: readonly Family[], onAnswer: (name: string) => void) {
    this.names = names;
    this.families = families;
    this.onAnswer = onAnswer;
  }

  /** All that are held, with their addresses. */
  list(): { readonly name: string; readonly addresses: readonly string[] }[] {
    return [...this.held.values()].map(({ name, addresses }) => ({ name, addresses }));
  }

  /** An address stands for itself. */
  addresses(dst: string): readonly string[] {
    return isHostName(dst) ? (this.held.get(dst)?.addresses ?? []) : [dst];
  }

  /** One user more; for an address there is nothing to do. */
  hold(dst: string): void {
    if (isHostName(dst)) this.held.set(dst, this.names.hold(this, dst, this.families));
  }

  release(dst: string): void {
    const watched = this.held.get(dst);
    if (watched !== undefined && !this.names.release(this, watched)) this.held.delete(dst);
  }

  /** Asks for names that are going to be used, and waits a while for first answers. Returns what lets go of them. */
  async prepare(dsts: readonly string[]): Promise<() => void> {
    const names = dsts.filter(isHostName);
    for (const name of names) this.hold(name);
    if (names.length > 0) await within(FIRST_ANSWER_MS, Promise.all(names.map((name) => this.held.get(name)?.first)));
    return () => {
      for (const name of names) this.release(name);
    };
  }
}

const within = async (ms: number, done: Promise<unknown>): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([done, late]);
  clearTimeout(timer);
};

/** Those that a tunnel has, or will have, a local address of; IPv4 first. */
const familiesOf = ({ locals, remote, group, flood, fdb }: TunnelConfig): Family[] => {
  const remotes = [remote, group, ...flood, ...fdb.map(({ dst }) => dst)].filter((dst) => dst !== undefined);
  const addresses = locals.length > 0 ? locals : remotes.filter((dst) => !isHostName(dst));
  const families = new Set(addresses.map((address): Family => (isIPv6(address) ? 6 : 4)));
  return [...families].sort();
};
