/** What the outer IP header of a copy has: TOS and TTL by the bridge domain's policy, ECN by RFC 6040 (wire/ecn.ts). */
import {
  INNER_DF,
  OUTER_DF,
  OUTER_FLOW_LABEL,
  OUTER_GRE_CHECKSUM,
  OUTER_GRE_SEQUENCE,
  OUTER_TOS,
  OUTER_TTL,
} from "../binding/abi.ts";
import { ECN_MASK } from "../wire/ecn.ts";
import { OUTER_INHERIT_DF, OUTER_INHERIT_TOS, OUTER_INHERIT_TTL } from "./bridge-domain.ts";

/** What the addon does by itself. */
const AS_IT_IS = OUTER_GRE_CHECKSUM | OUTER_GRE_SEQUENCE | OUTER_FLOW_LABEL;
const DSCP_MASK = 0xfc;

/** BD_OUTER of a tunnel that was configured so. @param ttl undefined = the host's default @param more OUTER_GRE_* and OUTER_FLOW_LABEL */
export const outerPolicy = (
  tos: number | "inherit",
  ttl: number | "inherit" | undefined,
  df: "unset" | "set" | "inherit",
  more = 0,
): number => {
  const byTos = tos === "inherit" ? OUTER_INHERIT_TOS : tos & DSCP_MASK;
  const byTtl = ttl === "inherit" ? OUTER_INHERIT_TTL : (ttl ?? 0) << 8;
  const byDf = df === "inherit" ? OUTER_INHERIT_DF : df === "set" ? OUTER_DF : 0;
  return byTos | byTtl | byDf | more;
};

/**
 * ACTION_OUTER of a copy; 0 = nothing out of the ordinary, which costs the sender nothing.
 * @param policy BD_OUTER @param inner FRAME_INNER_IP; without an IP header there is nothing to inherit
 */
export const outerFields = (policy: number, inner: number): number => {
  if (policy === 0 && (inner & ECN_MASK) === 0) return 0;
  const inherits = inner !== 0;
  const dscp = inherits && (policy & OUTER_INHERIT_TOS) !== 0 ? inner & DSCP_MASK : policy & DSCP_MASK;
  const tos = dscp | (inner & ECN_MASK);
  const ttl = inherits && (policy & OUTER_INHERIT_TTL) !== 0 ? (inner >> 8) & 255 : (policy >> 8) & 255;
  const hasDf = (policy & OUTER_DF) !== 0 || ((policy & OUTER_INHERIT_DF) !== 0 && (inner & INNER_DF) !== 0);
  return (
    (policy & AS_IT_IS) |
    (hasDf ? OUTER_DF : 0) |
    (tos === 0 ? 0 : tos | OUTER_TOS) |
    (ttl === 0 ? 0 : (ttl << 8) | OUTER_TTL)
  );
};
