/**
 * How a tunnel's packets have their VTEP inside (dataplane/embedded-vtep.ts), as words of its bridge domain; and the link-local
 * address that an ISATAP device has by that.
 */
import ipaddr from "ipaddr.js";
import type { TunnelConfig } from "../config/config.ts";
import {
  BD_EMBEDDING,
  BD_EMBEDDING_BASE,
  BD_EMBEDDING_LOCAL,
  BD_EMBEDDING_PREFIX,
} from "../dataplane/bridge-domain.ts";
import {
  BASE_LENGTH_SHIFT,
  EMBEDDED_IN_IDENTIFIER,
  EMBEDDED_IN_PREFIX,
  EMBEDDED_IS_GLOBAL,
  PREFIX_LENGTH_SHIFT,
} from "../dataplane/embedded-vtep.ts";
import { readWord } from "../dataplane/route-table.ts";
import { modeOf } from "../tunnel/modes.ts";

/** Where IPv4 addresses are not unique, as the kernel's isatap has it: private, for documentation, and no host's. */
const NOT_UNIQUE = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "224.0.0.0/4",
  "255.255.255.255/32",
].map((network) => ipaddr.IPv4.parseCIDR(network));

/** The address of an ISATAP device with its prefix, as the kernel makes it (RFC 5214 section 6.1); undefined in other modes. */
export const isatapAddress = (config: Pick<TunnelConfig, "mode" | "locals">): string | undefined => {
  if (modeOf(config).embedding !== "identifier") return undefined;
  const local = ipaddr.IPv4.parse(config.locals[0]!);
  const isUnique = !NOT_UNIQUE.some((network) => local.match(network));
  const [a = 0, b = 0, c = 0, d = 0] = local.toByteArray();
  const identifier = [isUnique ? 0x200 : 0, 0x5efe, (a << 8) | b, (c << 8) | d];
  return `${new ipaddr.IPv6([0xfe80, 0, 0, 0, ...identifier]).toString()}/64`;
};

const bytesOf = (text: string): Uint8Array => Uint8Array.from(ipaddr.parse(text).toByteArray());

/** Nothing where nothing is embedded. */
export const embeddingWords = (config: TunnelConfig): readonly (readonly [word: number, value: number])[] => {
  const { embedding } = modeOf(config);
  if (embedding === undefined) return [];
  const local = [BD_EMBEDDING_LOCAL, readWord(bytesOf(config.locals[0]!), 0)] as const;
  if (config.embedding === undefined) return [local, [BD_EMBEDDING, EMBEDDED_IN_IDENTIFIER]];
  const [prefix = "", prefixLength] = config.embedding.prefix.split("/");
  const [base = "", baseLength] = config.embedding.base.split("/");
  const isGlobal = config.mode === "6to4" ? EMBEDDED_IS_GLOBAL : 0;
  const lengths = (Number(prefixLength) << PREFIX_LENGTH_SHIFT) | (Number(baseLength) << BASE_LENGTH_SHIFT);
  return [
    local,
    [BD_EMBEDDING_PREFIX, readWord(bytesOf(prefix), 0)],
    [BD_EMBEDDING_PREFIX + 1, readWord(bytesOf(prefix), 4)],
    [BD_EMBEDDING_BASE, readWord(bytesOf(base), 0)],
    [BD_EMBEDDING, EMBEDDED_IN_PREFIX | isGlobal | lengths],
  ];
};
