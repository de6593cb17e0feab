/** What an operator asks of a tunnel's forwarding: a remote VTEP, by address or by host name. */
import type { FdbRequest } from "../dataplane/view.ts";
import type { RemoteKey } from "./remotes.ts";

export type Owner = "config" | "control";

export interface Wish {
  /** Canonical address, or host name in lower case. */
  readonly dst: string;
  readonly port: number;
  readonly vni: number;
  /** Underlay interface; undefined = the tunnel's own. */
  readonly via: string | undefined;
  /** Port, VNI and interface as they were asked for: what was left out is the tunnel's own, also when that becomes another one. */
  readonly said: Pick<FdbRequest, "port" | "vni" | "via">;
  readonly owner: Owner;
  /** Second it was made. */
  readonly sinceS: number;
  /** Of the addresses that a name has, only one is wanted. */
  readonly isSingle: boolean;
  /** Of a static entry: frames of its MAC from elsewhere are delivered. */
  readonly isSticky: boolean;
}

/** A wish, and a remote VTEP that it stands for now. */
export interface Place {
  readonly wish: Wish;
  readonly remote: RemoteKey;
}

/** Equal for what is the same, whoever asked for it. */
export const wishText = ({ dst, port, vni, via }: Wish): string => `${dst} ${port} ${vni} ${via ?? ""}`;

/** One of these addresses: the present one as long as it is among them, so that others may come and go. */
export const stay = (addresses: readonly string[], present: string | undefined): string | undefined =>
  present !== undefined && addresses.includes(present) ? present : addresses[0];
