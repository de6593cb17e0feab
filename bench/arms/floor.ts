/** The C program without policy: the same system calls as vtepd's, and nothing else. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Arm, OVERLAY_DEV, OVERLAY_MTU, VNI, VXLAN_PORT } from "../arm.ts";

const PROGRAM = fileURLToPath(new URL("../build/floor", import.meta.url));

export const floorArm = (label: string): Arm => ({
  label,
  refusal: () => (existsSync(PROGRAM) ? undefined : "the floor program is not built: make -C bench"),
  start: async (host, end, { place }) => {
    const options = {
      tap: OVERLAY_DEV,
      mac: end.mac,
      mtu: OVERLAY_MTU,
      local: end.local,
      remote: end.remote,
      port: VXLAN_PORT,
      vni: VNI,
    };
    const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]);
    const [command, ...rest] = place([PROGRAM, ...args]);
    const child = host.spawn(command, rest);
    await child.waitForOutput(/^ready/m);
    host.address(OVERLAY_DEV, end.overlay);
    return { pids: [child.pid] };
  },
});
