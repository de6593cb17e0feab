/** The kernel's own vxlan device: the ceiling. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "../../test/support/host.ts";
import { sleep } from "../../test/support/wait-for.ts";
import { type Arm, type ArmContext, type End, OVERLAY_DEV, VNI, type Vtep, VXLAN_PORT } from "../arm.ts";
import { type ControlAccess, UPDATED_MACS, updatedMac } from "../control-access.ts";
import { scratchFolder } from "../scratch.ts";
import type { ArmLabel } from "./label.ts";

const ALL_ZEROS = "00:00:00:00:00:00";

/** `bridge` is the control interface; a batch file is its fastest form. */
const control = (host: Host, end: End): ControlAccess => ({
  fdbEntries: async () => {
    // Counted there: a million lines are too many to hold here.
    const counter = host.spawn("sh", ["-c", `bridge fdb show dev ${OVERLAY_DEV} | wc -l`]);
    await counter.exited;
    return Number(counter.stdout);
  },
  updateFdb: async (rate, stop) => {
    const file = join(scratchFolder(), "batch");
    const lines = Array.from({ length: UPDATED_MACS }, (_, n) => {
      return `fdb replace ${updatedMac(n)} dev ${OVERLAY_DEV} dst ${end.remote}\n`;
    });
    writeFileSync(file, lines.join(""));
    const start = performance.now();
    let done = 0;
    while (!stop.aborted) {
      const early = (1000 * done) / rate - (performance.now() - start);
      if (early > 0) await sleep(early);
      const batch = host.spawn("bridge", ["-batch", file]);
      const { code } = await batch.exited;
      if (code !== 0) throw new Error(`bridge -batch: ${batch.stderr}`);
      done += UPDATED_MACS;
    }
    return { done, seconds: (performance.now() - start) / 1000 };
  },
  drops: async () => ({}),
});

const start = async (host: Host, end: End, { setUp }: ArmContext): Promise<Vtep> => {
  const words = { id: VNI, local: end.local, dstport: VXLAN_PORT };
  const tunnel = Object.entries(words).flatMap(([key, value]) => [key, String(value)]);
  if (setUp.floodList.length === 0) tunnel.push("remote", end.remote);
  const device = ["address", end.mac, "mtu", String(setUp.overlayMtu), "type", "vxlan"];
  host.ip("link", "add", OVERLAY_DEV, ...device, ...tunnel, "udpcsum");
  for (const dst of setUp.floodList) host.run("bridge", ["fdb", "append", ALL_ZEROS, "dev", OVERLAY_DEV, "dst", dst]);
  host.address(OVERLAY_DEV, end.overlay);
  return { pids: [], control: control(host, end) };
};

export const kernelArm = ({ text }: ArmLabel): Arm => ({
  label: text,
  role: "core",
  speaksVxlan: true,
  refusal: () => {
    // The run has a network namespace of its own, so trying harms nobody.
    const probe = ["link", "add", "probe0", "type", "vxlan", "id", "1", "dstport", String(VXLAN_PORT)];
    if (spawnSync("ip", probe, { stdio: "ignore" }).status !== 0) return "this kernel has no vxlan module";
    spawnSync("ip", ["link", "delete", "probe0"], { stdio: "ignore" });
    return undefined;
  },
  start,
});
