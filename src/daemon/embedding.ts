/** How a tunnel's packets have their VTEP inside (dataplane/embedded-vtep.ts), as words of its bridge domain. */
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
