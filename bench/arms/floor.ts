/** The C program without policy: the same system calls as vtepd's, and nothing else. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Arm, OVERLAY_DEV, VNI, VXLAN_PORT } from "../arm.ts";
import type { ArmLabel } from "./label.ts";

const PROGRAM = fileURLToPath(new URL("../build/floor", import.meta.url));

const RAW_PROGRAM = fileURLToPath(new URL("../build/raw-floor", import.meta.url));

const refusal = (tier: string | undefined): string | undefined => {
  if (!existsSync(PROGRAM)) return "the floor program is not built: make -C bench";
  if (tier === undefined) return undefined;
  // Without arguments it prints its usage.
  const usage = spawnSync(PROGRAM, [], { encoding: "utf8" }).stderr;
  return usage.includes("--tier") ? undefined : "the floor program has no --tier";
};

/** What is not in UDP has a program of its own. */
const rawFloorArm = ({ text, mode }: ArmLabel): Arm => ({
  label: text,
  role: "tier",
  speaksVxlan: false,
  refusal: () => (existsSync(RAW_PROGRAM) ? undefined : "the raw-floor program is not built: make -C bench"),
  start: async (host, end, { place, setUp }) => {
    const options = {
      mode,
      dev: OVERLAY_DEV,
      mac: end.mac,
      mtu: setUp.overlayMtu,
      local: end.local,
      remote: end.remote,
    };
    const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]);
    const [command, ...rest] = place([RAW_PROGRAM, ...args]);
    const child = host.spawn(command, rest);
    await child.waitForOutput(/^ready/m);
    host.address(OVERLAY_DEV, end.overlay);
    return { pids: [child.pid] };
  },
});

export const floorArm = (label: ArmLabel): Arm =>
  label.mode === undefined ? vxlanFloorArm(label) : rawFloorArm(label);

const vxlanFloorArm = ({ text, tier }: ArmLabel): Arm => ({
  label: text,
  role: tier === undefined ? "core" : "tier",
  speaksVxlan: true,
  refusal: () => refusal(tier),
  start: async (host, end, { place, setUp }) => {
    const options = {
      tap: OVERLAY_DEV,
      mac: end.mac,
      mtu: setUp.overlayMtu,
      local: end.local,
      port: VXLAN_PORT,
      vni: VNI,
      ...(tier === undefined ? {} : { tier }),
    };
    const remotes = setUp.floodList.length === 0 ? [end.remote] : setUp.floodList;
    const args = [...Object.entries(options), ...remotes.map((remote) => ["remote", remote] as const)].flatMap(
      ([key, value]) => [`--${key}`, String(value)],
    );
    const [command, ...rest] = place([PROGRAM, ...args]);
    const child = host.spawn(command, rest);
    await child.waitForOutput(/^ready/m);
    host.address(OVERLAY_DEV, end.overlay);
    return { pids: [child.pid] };
  },
});
