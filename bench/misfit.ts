/** What cannot be because of how the hosts are connected, known before anything is started. */
import type { WireMode } from "../test/support/lab.ts";
import type { Arm } from "./arm.ts";
import type { Workload } from "./workload.ts";

/** The reason, or undefined. */
export const misfit = (arm: Arm, { topology }: Workload, mode: WireMode): string | undefined => {
  const halfOfPair = topology === "receiver" || topology === "sender";
  if (halfOfPair && !arm.speaksVxlan) return "it does not speak VXLAN";
  if (topology === "relayed" && mode !== "wire-like") return "a relay carries only what fits on a wire";
  return undefined;
};
