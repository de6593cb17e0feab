/** The kernel's own vxlan device: the ceiling. */
import { spawnSync } from "node:child_process";
import type { Host } from "../../test/support/host.ts";
import { type Arm, type End, OVERLAY_DEV, OVERLAY_MTU, VNI, type Vtep, VXLAN_PORT } from "../arm.ts";

const start = async (host: Host, end: End): Promise<Vtep> => {
  const tunnel = [
    "id",
    String(VNI),
    "local",
    end.local,
    "remote",
    end.remote,
    "dstport",
    String(VXLAN_PORT),
    "udpcsum",
  ];
  host.ip("link", "add", OVERLAY_DEV, "address", end.mac, "mtu", String(OVERLAY_MTU), "type", "vxlan", ...tunnel);
  host.address(OVERLAY_DEV, end.overlay);
  return { pids: [] };
};

export const kernelArm = (label: string): Arm => ({
  label,
  refusal: () => {
    // The run has a network namespace of its own, so trying harms nobody.
    const probe = ["link", "add", "probe0", "type", "vxlan", "id", "1", "dstport", String(VXLAN_PORT)];
    if (spawnSync("ip", probe, { stdio: "ignore" }).status !== 0) return "this kernel has no vxlan module";
    spawnSync("ip", ["link", "delete", "probe0"], { stdio: "ignore" });
    return undefined;
  },
  start,
});
