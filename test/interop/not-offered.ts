/** Cells of the first table that have no test, and why. */
import type { ColumnName } from "./column.ts";
import type { Feature } from "./features.ts";

const NO_FLOW_LABEL = { "flow label": "IPv4 has none" } as const;

/** What a peer cannot do, whoever is at the other end. Such a cell has no test. */
export const NOT_OFFERED: Readonly<Partial<Record<ColumnName, Readonly<Partial<Record<Feature, string>>>>>> = {
  "kernel, IPv4": NO_FLOW_LABEL,
  "kernel, IPv6": { "DF, fixed": "IPv6 has no such bit", "DF, inherited": "IPv6 has no such bit" },
  "Open vSwitch": {
    ...NO_FLOW_LABEL,
    "multicast group": "its tunnels have unicast remotes only",
    "frames too large: sent in fragments, put together by the peer": "its userspace datapath takes no fragments",
    "TCP with superframes and unfinished checksums":
      "its userspace datapath drops packets with unfinished outer checksums",
  },
  "user-mode-linux 6.1": NO_FLOW_LABEL,
};
