/** What modes 6to4, 6rd and isatap have of their own: their keys, and what prefixes must be to one another. */
import ipaddr from "ipaddr.js";
import type { z } from "zod";
import { MODES } from "../tunnel/modes.ts";
import { remoteVtep } from "./address.ts";
import type { TunnelConfig } from "./config.ts";
import { key, listOf } from "./map.ts";
import { network } from "./network.ts";
import type { ConflictReport, KeyPath } from "./problem.ts";

/** Keys of modes whose remote VTEPs are in the addresses behind them. */
export const embeddingKeys: {
  readonly prefix: z.ZodType<string, string>;
  readonly "relay-prefix": z.ZodOptional<z.ZodType<string, string>>;
  readonly "potential-routers": z.ZodDefault<z.ZodArray<z.ZodType<string, string>>>;
} = {
  prefix: key(network(), "The provider's IPv6 prefix, 16 to 63 bits; the sites' IPv4 addresses follow.", {
    examples: ["2001:db8::/32"],
  }),
  "relay-prefix": key(
    network().optional(),
    "What all sites' IPv4 addresses begin with, which the IPv6 addresses leave out. Without it, nothing.",
    { examples: ["192.0.2.0/24"] },
  ),
  "potential-routers": key(
    listOf(remoteVtep()).default([]),
    "Routers: they may send from any address, and the first gets what is for none that has an IPv4 address inside.",
    { examples: [["192.0.2.254"]] },
  ),
};

/** The addresses' first half must have room for both, as in the kernel. */
const FIRST_HALF_BITS = 64;
const LEAST_PREFIX = 16;
const IPV4_BITS = 32;

const lengthOf = (network: string): number => Number(network.slice(network.indexOf("/") + 1));

const isPrivate = (address: string): boolean => ["private", "linkLocal"].includes(ipaddr.parse(address).range());

export const checkEmbedding = (
  { mode, embedding, locals }: TunnelConfig,
  path: KeyPath,
  conflicts: ConflictReport,
): void => {
  if (embedding === undefined) return;
  const [local = ""] = locals;
  if (!ipaddr.IPv4.isValid(local)) return; // Reported elsewhere.
  if (mode === "6to4" && isPrivate(local)) {
    const cure = "sites with private addresses have `mode: 6rd`";
    conflicts.report([...path, "local"], `expected an address that is unique in the world, got ${local} (${cure})`);
  }
  const { prefix, base } = embedding;
  const [length, baseLength] = [lengthOf(prefix), lengthOf(base)];
  if (base.includes(":") || baseLength === IPV4_BITS) {
    conflicts.report([...path, "relay-prefix"], `expected an IPv4 network of less than ${IPV4_BITS} bits, got ${base}`);
    return;
  }
  if (!ipaddr.IPv4.parse(local).match(ipaddr.IPv4.parseCIDR(base))) {
    const got = `got ${base}, where ${local} is not`;
    conflicts.report([...path, "relay-prefix"], `expected a network that \`local\` is in, ${got}`);
  }
  const most = Math.min(FIRST_HALF_BITS - 1, FIRST_HALF_BITS - IPV4_BITS + baseLength);
  if (prefix.includes(":") && length >= LEAST_PREFIX && length <= most) return;
  const wanted = `expected an IPv6 network of ${LEAST_PREFIX} to ${most} bits, which leave ${IPV4_BITS - baseLength} for IPv4`;
  conflicts.report([...path, "prefix"], `${wanted}, got ${prefix}`);
};

/** 6to4 is 6rd with a prefix for the whole world. */
export const embeddingOf = (mode: string, prefix = "2002::/16", base = "0.0.0.0/0"): TunnelConfig["embedding"] =>
  MODES.get(mode)?.embedding === "prefix" ? { prefix, base } : undefined;
