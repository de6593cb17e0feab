/** What is compared: a way to give a host an overlay device. */
import type { Host } from "../test/support/host.ts";
import type { WireMode } from "../test/support/lab.ts";
import type { ControlAccess } from "./control-access.ts";

/** The overlay device's name on both hosts. */
export const OVERLAY_DEV = "ov0";
export const UNDERLAY_DEV = "eth0";
/** Underlay 1500 less outer Ethernet payload overhead: IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14. */
export const OVERLAY_MTU = 1450;
export const UNDERLAY_MTU = 1500;
export const VXLAN_PORT = 4789;
export const VNI = 42;

/** One end of the tunnel. */
export interface End {
  readonly label: string;
  /** Underlay addresses, without prefix. */
  readonly local: string;
  readonly remote: string;
  /** Overlay address with prefix length. */
  readonly overlay: string;
  /** Overlay MAC where the arm lets us choose. */
  readonly mac: string;
}

export const LEFT: End = {
  label: "left",
  local: "192.0.2.1",
  remote: "192.0.2.2",
  overlay: "198.51.100.1/24",
  mac: "02:00:00:00:00:01",
};
export const RIGHT: End = {
  label: "right",
  local: "192.0.2.2",
  remote: "192.0.2.1",
  overlay: "198.51.100.2/24",
  mac: "02:00:00:00:00:02",
};

/** Address without prefix length. */
export const bare = (address: string): string => address.slice(0, address.indexOf("/"));

/**
 * Which hosts have a VTEP. `pair`: both. `receiver`: the right one, the left one has a bare generator of VXLAN datagrams.
 * `sender`: the left one, the right one counts VXLAN datagrams. `relayed`: both, and a third host between them.
 */
export type Topology = "pair" | "receiver" | "sender" | "relayed";

/** What a workload wants of the hosts and VTEPs, beyond the usual. */
export interface SetUp {
  readonly overlayMtu: number;
  readonly underlayMtu: number;
  /** The FDB must have room for so many learned MACs; 0 = as the arm comes. */
  readonly fdbRoom: number;
  /** Remote VTEPs in the flood list in place of the one remote VTEP; the other host has these addresses. */
  readonly floodList: readonly string[];
  /** Have the pauses of a garbage collector written down. */
  readonly traceGc: boolean;
}

export const USUAL: SetUp = {
  overlayMtu: OVERLAY_MTU,
  underlayMtu: UNDERLAY_MTU,
  fdbRoom: 0,
  floodList: [],
  traceGc: false,
};

/** A VTEP that runs on a host. */
export interface Vtep {
  /** Processes that do the work; empty for the kernel. */
  readonly pids: readonly number[];
  /** How its FDB is seen and changed; absent where there is no such thing. */
  readonly control?: ControlAccess;
  /** Pauses of its garbage collector so far, ms; with `traceGc` only. */
  gcPausesMs?(): readonly number[];
}

export type Place = (command: readonly string[]) => readonly [string, ...string[]];

export interface ArmContext {
  /** Puts a VTEP's command line on its CPU when the run is pinned. */
  readonly place: Place;
  readonly setUp: SetUp;
  readonly mode: WireMode;
  readonly topology: Topology;
}

/** `core` arms run every workload; `context` and `tier` arms those that say so. */
export type Role = "core" | "context" | "tier";

export interface Arm {
  /** As given on the command line, e.g. "vtepd", "floor#2". */
  readonly label: string;
  readonly role: Role;
  /** Whether its datagrams are VXLAN, so that a bare generator or counter can be the other end. */
  readonly speaksVxlan: boolean;
  /** Why it cannot run here, or undefined. */
  refusal(): string | undefined;
  /**
   * Returns when `ov0` exists, is up and has its address. The lab's end is the VTEP's end.
   * @throws Unfit when it cannot have the set-up
   */
  start(host: Host, end: End, context: ArmContext): Promise<Vtep>;
}
