/**
 * Which offloads the data plane uses: what was asked for, what this kernel can do (tried once at start), and why not.
 *
 * Tiers, each falling back to the next: `socket` (UDP_SEGMENT, UDP_GRO, TSO and USO on the TAP: one system call carries
 * many frames), `mmsg` (one frame a datagram, many datagrams a call), `plain` (no vnet header on the TAP either, for kernels
 * and sandboxes without it). Above them is `tunnel` (daemon/uplink.ts), `socket` with another way out for IPv4 underlays;
 * as it changes what the host forwards, it is used only when asked for, and then refused rather than replaced. Single
 * offloads can be switched off too, since kernels have had bugs in each of them.
 */
import { FEATURE_MERGE_TCP, FEATURE_MERGE_UDP, FEATURE_SEGMENT, FEATURE_VNET_HEADER } from "../binding/abi.ts";
import { addon, type TapOptions, type TapProbe, type UdpProbe } from "../binding/addon.ts";
import type { OffloadName, OffloadTier } from "../config/config.ts";
import type { CapabilityView } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";

export interface Offload {
  /** The tier in use. */
  readonly tier: OffloadTier;
  /** Each offload: in use or not, and why not. */
  readonly capabilities: readonly CapabilityView[];
  readonly tap: { readonly vnetHeader: boolean; readonly offload: NonNullable<TapOptions["offload"]> };
  /** Whether an uplink takes superframes in GRE and IP tunnels, too. */
  readonly cutsIpTunnels: boolean;
  /** UDP_GRO on receiving sockets. */
  readonly mergeDatagrams: boolean;
  /** FEATURE_* sums for `Io.add`. */
  readonly tapFeatures: number;
  readonly rxFeatures: number;
  readonly txFeatures: number;
}

export interface OffloadRequest {
  /** Undefined = the best that works. */
  readonly tier: OffloadTier | undefined;
  readonly disabled: readonly OffloadName[];
}

/** What was tried, and on which tier an offload belongs. */
interface Trial {
  readonly name: OffloadName;
  /** "" = works. */
  readonly refusal: string;
  readonly tier: "socket" | "mmsg";
}

const trials = (udp: UdpProbe, tap: TapProbe): Trial[] => [
  { name: "vnet-header", refusal: tap.vnetHeader, tier: "mmsg" },
  { name: "udp-segment", refusal: udp.segment, tier: "socket" },
  { name: "udp-gro", refusal: udp.merge, tier: "socket" },
  { name: "tap-tso", refusal: tap.tso, tier: "socket" },
  { name: "tap-uso", refusal: tap.uso, tier: "socket" },
  { name: "merge-tcp", refusal: tap.writeTcp, tier: "socket" },
  { name: "merge-udp", refusal: tap.writeUdp, tier: "socket" },
];

const RANK: Record<OffloadTier, number> = { plain: 0, mmsg: 1, socket: 2, tunnel: 3 };

/** Why an offload is not used, or "". */
const refusalOf = (trial: Trial, request: OffloadRequest): string => {
  if (request.tier !== undefined && RANK[request.tier] < RANK[trial.tier]) return `tier ${request.tier} was asked for`;
  if (request.disabled.includes(trial.name)) return "switched off";
  return trial.refusal;
};

const TUNNEL: CapabilityView = { name: "tunnel-gso", inUse: true, reason: "" };

/**
 * Decides from given probes; pure, for tests. @throws ERR_TUNNEL_OFFLOAD
 * @param tunnelProgram what became of the trial with a program for uplinks, "" = works; asked for in tier `tunnel` alone
 */
export const chooseOffload = (
  request: OffloadRequest,
  udp: UdpProbe,
  tap: TapProbe,
  tunnelProgram: string,
): Offload => {
  const isTunnel = request.tier === "tunnel";
  if (isTunnel && tap.tunnel !== "") {
    const message = `offload tier tunnel: expected TAPs that take superframes in UDP tunnels (Linux 6.17), got: ${tap.tunnel}`;
    throw new VtepdError("ERR_TUNNEL_OFFLOAD", message);
  }
  const refusals = new Map(trials(udp, tap).map((trial) => [trial.name, refusalOf(trial, request)]));
  const vnetHeader = refusals.get("vnet-header") === "";
  // Everything on the TAP's side speaks through the vnet header.
  for (const name of ["tap-tso", "tap-uso", "merge-tcp", "merge-udp"] as const) {
    if (!vnetHeader && refusals.get(name) === "") refusals.set(name, "needs vnet-header");
  }
  // USO comes with TSO, and one of them without the other would not be taken.
  if (refusals.get("tap-tso") !== "" && refusals.get("tap-uso") === "") refusals.set("tap-uso", "needs tap-tso");
  // A port that merges UDP merges TCP too.
  if (refusals.get("merge-tcp") !== "" && refusals.get("merge-udp") === "")
    refusals.set("merge-udp", "needs merge-tcp");
  const uses = (name: OffloadName): boolean => refusals.get(name) === "";
  const bit = (name: OffloadName, feature: number): number => (uses(name) ? feature : 0);
  const anySocket = uses("udp-segment") || uses("udp-gro") || uses("tap-tso") || uses("merge-tcp");
  const capabilities = [...refusals].map(([name, reason]): CapabilityView => ({ name, inUse: reason === "", reason }));
  const ipTunnels = { name: "ip-tunnel-gso", inUse: tunnelProgram === "", reason: tunnelProgram };
  return {
    tier: isTunnel ? "tunnel" : vnetHeader ? (anySocket ? "socket" : "mmsg") : "plain",
    capabilities: isTunnel ? [TUNNEL, ipTunnels, ...capabilities] : capabilities,
    cutsIpTunnels: isTunnel && ipTunnels.inUse,
    tap: { vnetHeader, offload: uses("tap-uso") ? "uso" : uses("tap-tso") ? "tso" : "none" },
    mergeDatagrams: uses("udp-gro"),
    tapFeatures: bit("vnet-header", FEATURE_VNET_HEADER),
    rxFeatures: bit("merge-tcp", FEATURE_MERGE_TCP) | (uses("merge-tcp") ? bit("merge-udp", FEATURE_MERGE_UDP) : 0),
    txFeatures: bit("udp-segment", FEATURE_SEGMENT),
  };
};

/** Tries the kernel and decides. */
export const probeOffload = (request: OffloadRequest): Offload =>
  chooseOffload(
    request,
    addon.probeUdp(),
    addon.probeTap(),
    request.tier === "tunnel" ? addon.probeTunnelProgram() : "not asked for",
  );
