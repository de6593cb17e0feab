/**
 * Addresses of host names, with the time for which they hold.
 *
 * With name servers of the configuration only these are asked. Without, the host's own way counts (getaddrinfo: /etc/hosts,
 * resolv.conf), which tells no time: when the name servers say the same, theirs is taken, else HOSTS_TTL_S.
 */
import { lookup, Resolver } from "node:dns/promises";
import { readVtep } from "../dataplane/vtep-text.ts";
import { VtepdError } from "../errors.ts";

/** For names that are not from DNS: how soon a change of /etc/hosts is seen. */
const HOSTS_TTL_S = 60;
/** The first try; each further one takes twice as long. */
const TIMEOUT_MS = 2000;
const TRIES = 2;
/** The answer is that there is no address, as opposed to no answer. */
const NO_ADDRESS: readonly (string | undefined)[] = ["ENOTFOUND", "ENODATA"];

export type Family = 4 | 6;

export interface NameAnswer {
  /** Canonical text, in order; at least one. */
  readonly addresses: readonly string[];
  /** Seconds. */
  readonly ttlS: number;
}

export class NameResolver {
  private readonly resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  private readonly isHosts: boolean;

  /** @param servers as `192.0.2.53:53`; none = the host's own way */
  constructor(servers: readonly string[]) {
    this.isHosts = servers.length === 0;
    if (!this.isHosts) this.resolver.setServers(servers);
  }

  /** The addresses of the first of these families that has any. @throws ERR_HOST_NAME */
  async resolve(name: string, families: readonly Family[]): Promise<NameAnswer> {
    let cause: unknown;
    for (const family of families) {
      try {
        return await (this.isHosts ? this.ask(name, family) : this.query(name, family));
      } catch (error) {
        cause = error;
        // Without an answer nobody knows that this family has none.
        if (!NO_ADDRESS.includes((error as NodeJS.ErrnoException).code)) break;
      }
    }
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    const kinds = families.map((family) => `IPv${family}`).join(" or ");
    throw new VtepdError("ERR_HOST_NAME", `expected an ${kinds} address of ${name}, got ${reason}`, { cause });
  }

  /** Ends what is being asked, with an error. */
  stop(): void {
    this.resolver.cancel();
  }

  private async ask(name: string, family: Family): Promise<NameAnswer> {
    const query = this.query(name, family).catch(() => undefined);
    const found = await lookup(name, { all: true, family });
    const addresses = usable(found);
    const answer = await query;
    return answer?.addresses.join() === addresses.join() ? answer : { addresses, ttlS: HOSTS_TTL_S };
  }

  private async query(name: string, family: Family): Promise<NameAnswer> {
    const records = await (family === 4
      ? this.resolver.resolve4(name, { ttl: true })
      : this.resolver.resolve6(name, { ttl: true }));
    return { addresses: usable(records), ttlS: Math.min(...records.map(({ ttl }) => ttl)) };
  }
}

/** Those that a VTEP can have, in order: name servers rotate their answers, and the same ones shall look the same. */
const usable = (found: readonly { readonly address: string }[]): string[] => {
  const all = found.map(({ address }) => readVtep(address).address).filter((address) => address !== undefined);
  if (all.length > 0) return [...new Set(all)].sort();
  throw Object.assign(new Error("no address that a VTEP can have"), { code: "ENODATA" });
};
