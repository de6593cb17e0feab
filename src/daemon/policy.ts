/**
 * What a tunnel's configuration says of its bridge domain, as the words that workers read. Written when the tunnel is made,
 * and again when its configuration changes: each word by one store, so that a worker sees the old value or the new one.
 */
import { OUTER_FLOW_LABEL } from "../binding/abi.ts";
import type { PolicedClass, TunnelConfig } from "../config/config.ts";
import {
  BD_ACCEPT_ANY,
  BD_DROP_UNKNOWN,
  BD_GRE_REQUIRED,
  BD_LEARNING,
  BD_MSS_CLAMP,
  BD_NEIGHBOURS,
  BD_OUTER,
  BD_OVERSIZE,
  BD_PAYLOADS,
  BD_VLAN,
} from "../dataplane/bridge-domain.ts";
import { clampWord } from "../dataplane/mss-clamp.ts";
import { ANSWER, ECHO_KEEPALIVES, TELL_L2_MISS, TELL_L3_MISS } from "../dataplane/neighbourhood.ts";
import { outerPolicy } from "../dataplane/outer-header.ts";
import { OVERSIZE_DROP, OVERSIZE_FRAGMENT, OVERSIZE_ICMP } from "../dataplane/oversize.ts";
import { BROADCAST, MULTICAST, TOO_BIG_ANSWER, UNKNOWN_UNICAST_CLASS } from "../dataplane/policers.ts";
import type { Tables } from "../dataplane/tables.ts";
import { VLAN_DROP, VLAN_PASS, VLAN_STRIP } from "../dataplane/vlan-tags.ts";
import { embeddingWords } from "./embedding.ts";
import type { Encapsulation } from "./encapsulation.ts";

const VLAN_MODES = { pass: VLAN_PASS, strip: VLAN_STRIP, drop: VLAN_DROP } as const;
const OVERSIZE_POLICIES = { icmp: OVERSIZE_ICMP, fragment: OVERSIZE_FRAGMENT, drop: OVERSIZE_DROP } as const;
/** ICMP messages to senders of oversize frames, a second and at once: one is enough for a sender that listens. */
const TOO_BIG_RATE = 1000;
const TOO_BIG_BURST = 100;

const POLICED: readonly (readonly [number, PolicedClass])[] = [
  [BROADCAST, "broadcast"],
  [MULTICAST, "multicast"],
  [UNKNOWN_UNICAST_CLASS, "unknownUnicast"],
];

export const writePolicy = (
  { bridgeDomains, fdb, policers, sourcePolicers }: Tables,
  bd: number,
  config: TunnelConfig,
  encapsulation: Encapsulation,
): void => {
  fdb.accounts.setPolicy(bd, {
    limit: config.limit,
    limitPerRemote: config.limitPerRemote ?? 0,
    isFair: config.eviction === "fair",
    isDamped: config.moveDamping,
  });
  for (const [kind, name] of POLICED) {
    policers.set(bd, kind, config.policers[name]?.rate ?? 0, config.policers[name]?.burst ?? 0);
    sourcePolicers.set(bd, kind, config.sourcePolicers[name]?.rate ?? 0, config.sourcePolicers[name]?.burst ?? 0);
  }
  policers.set(bd, TOO_BIG_ANSWER, TOO_BIG_RATE, TOO_BIG_BURST);
  const words: (readonly [word: number, value: number])[] = [
    [BD_LEARNING, config.macLearning && !encapsulation.isMirror ? 1 : 0],
    [BD_VLAN, VLAN_MODES[config.vlan]],
    [BD_DROP_UNKNOWN, config.unknownUnicast === "drop" ? 1 : 0],
    [BD_ACCEPT_ANY, config.accept === "any" ? 1 : 0],
    [BD_MSS_CLAMP, clampWord(config.mssClamp)],
    [BD_OVERSIZE, OVERSIZE_POLICIES[config.oversize]],
    [BD_OUTER, outerPolicy(config.tos, config.ttl, config.doNotFragment, encapsulation.greOuter | labelOf(config))],
    [BD_PAYLOADS, encapsulation.payloads],
    [BD_GRE_REQUIRED, encapsulation.greRequired],
    ...embeddingWords(config),
    [BD_NEIGHBOURS, encapsulation.hasKeepalives ? ECHO_KEEPALIVES : neighbourhoodOf(config)],
  ];
  for (const [word, value] of words) bridgeDomains.set(bd, word, value);
};

const labelOf = ({ flowLabel }: TunnelConfig): number => (flowLabel === "inherit" ? OUTER_FLOW_LABEL : 0);

const neighbourhoodOf = ({ arpProxy, notifications }: TunnelConfig): number =>
  (arpProxy ? ANSWER : 0) |
  (notifications.includes("l2-miss") ? TELL_L2_MISS : 0) |
  (notifications.includes("l3-miss") ? TELL_L3_MISS : 0);
