/** What is compared: a way to give a host an overlay device. */
import type { Host } from "../test/support/host.ts";

/** The overlay device's name on both hosts. */
export const OVERLAY_DEV = "ov0";
/** Underlay 1500 less outer Ethernet payload overhead: IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14. */
export const OVERLAY_MTU = 1450;
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

/** A VTEP that runs on a host. */
export interface Vtep {
  /** Processes that do the work; empty for the kernel. */
  readonly pids: readonly number[];
}

export interface ArmContext {
  /** Puts a VTEP's command line on its CPU when the run is pinned. */
  readonly place: (command: readonly string[]) => readonly [string, ...string[]];
}

export interface Arm {
  /** As given on the command line, e.g. "vtepd", "floor#2". */
  readonly label: string;
  /** Why it cannot run here, or undefined. */
  refusal(): string | undefined;
  /** Returns when `ov0` exists, is up and has its address. The lab's end is the VTEP's end. */
  start(host: Host, end: End, context: ArmContext): Promise<Vtep>;
}
