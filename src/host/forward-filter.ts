/**
 * Whether the host's packet filter lets packets through that come in by one of our devices and leave by another: asked of
 * `nft`, which also shows what iptables-nft made. Not seen are the tables of the older iptables-legacy, and drop rules
 * before the end of a chain; those show as drops in the filter's own counters.
 */
import { execFile } from "node:child_process";

const OUTPUT_LIMIT_BYTES = 64 << 20;

interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

interface Statement {
  readonly accept?: null;
  readonly match?: { readonly left?: { readonly meta?: { readonly key?: string } }; readonly right?: unknown };
}

interface Row {
  readonly chain?: Chain;
  readonly rule?: { readonly expr?: readonly Statement[] };
}

/** Undefined when there is no `nft`, or it may not be used here. */
const queryNft = (...args: string[]): Promise<Row[] | undefined> =>
  new Promise((resolve) => {
    execFile("nft", ["-j", ...args], { maxBuffer: OUTPUT_LIMIT_BYTES }, (error, stdout) => {
      resolve(error === null ? (JSON.parse(stdout) as { nftables: Row[] }).nftables : undefined);
    });
  });

const namesDevice = (device: string, right: unknown): boolean =>
  typeof right === "string" && (right.endsWith("*") ? device.startsWith(right.slice(0, -1)) : device === right);

const accepts = (device: string, expr: readonly Statement[]): boolean =>
  expr.some((statement) => "accept" in statement) &&
  expr.some(({ match }) => match?.left?.meta?.key === "iifname" && namesDevice(device, match.right));

/** The first chain that drops what is forwarded by default and has no rule that accepts from the device, e.g. `ip filter FORWARD`. */
export const chainThatDrops = async (device: string): Promise<string | undefined> => {
  for (const { chain } of (await queryNft("list", "chains")) ?? []) {
    if (chain?.hook !== "forward" || chain.policy !== "drop") continue;
    if (chain.family !== "ip" && chain.family !== "inet") continue;
    const rules = (await queryNft("list", "chain", chain.family, chain.table, chain.name)) ?? [];
    if (!rules.some(({ rule }) => accepts(device, rule?.expr ?? []))) {
      return `${chain.family} ${chain.table} ${chain.name}`;
    }
  }
  return undefined;
};
