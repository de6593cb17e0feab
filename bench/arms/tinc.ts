/**
 * tinc 1.0 with cipher and digest off, as a switch: what people run in user space today when they need layer 2, for
 * context. It has its own protocol (TCP and UDP port 655), so both ends must be tinc.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "../../test/support/host.ts";
import { waitFor } from "../../test/support/wait-for.ts";
import { type Arm, type ArmContext, type End, LEFT, OVERLAY_DEV, OVERLAY_MTU, RIGHT, type Vtep } from "../arm.ts";
import { missingProgram } from "../installed.ts";
import { scratchFolder } from "../scratch.ts";
import { Unfit } from "../unfit.ts";
import type { ArmLabel } from "./label.ts";

/** Nobody attacks a namespace; a key is only there because tinc wants one. */
const KEY_BITS = "1024";

let prepared: string | undefined;

/** Both ends' configuration, each with both public keys; made once. */
const configuration = (): string => {
  if (prepared !== undefined) return prepared;
  const folder = scratchFolder();
  for (const end of [LEFT, RIGHT]) {
    mkdirSync(join(folder, end.label, "hosts"), { recursive: true });
    const lines = [
      `Name = ${end.label}`,
      "DeviceType = tap",
      `Interface = ${OVERLAY_DEV}`,
      "Mode = switch",
      "AddressFamily = ipv4",
      `BindToAddress = ${end.local}`,
      ...(end === LEFT ? [`ConnectTo = ${RIGHT.label}`] : []),
    ];
    writeFileSync(join(folder, end.label, "tinc.conf"), `${lines.join("\n")}\n`);
    execFileSync("tincd", ["-c", join(folder, end.label), "-K", KEY_BITS], { stdio: ["ignore", "pipe", "pipe"] });
  }
  for (const [end, other] of [
    [LEFT, RIGHT],
    [RIGHT, LEFT],
  ] as const) {
    const file = join(folder, end.label, "hosts", end.label);
    const key = readFileSync(file, "utf8");
    writeFileSync(file, `Address = ${end.local}\nCipher = none\nDigest = none\nCompression = 0\n${key}`);
    copyFileSync(file, join(folder, other.label, "hosts", end.label));
  }
  prepared = folder;
  return folder;
};

const start = async (host: Host, end: End, { place, setUp }: ArmContext): Promise<Vtep> => {
  if (setUp.overlayMtu > OVERLAY_MTU) throw new Unfit("it is built for frames of at most 1518 bytes");
  if (setUp.floodList.length > 0 || setUp.fdbRoom > 0) throw new Unfit("it tells every MAC to every daemon over TCP");
  const folder = join(configuration(), end.label);
  const [command, ...args] = place(["tincd", "-c", folder, "-D", "-d2", "--pidfile", join(folder, "pid")]);
  const child = host.spawn(command, args);
  await child.waitForOutput(/^Ready$/m);
  host.ip("link", "set", OVERLAY_DEV, "mtu", String(setUp.overlayMtu));
  host.address(OVERLAY_DEV, end.overlay);
  // Until the ends are connected a frame is dropped; the one that connects is started last.
  if (end === LEFT) {
    await waitFor(() => /Connection with .* activated/.test(child.stderr), { what: () => `tinc: ${child.stderr}` });
  }
  return { pids: [child.pid] };
};

export const tincArm = ({ text }: ArmLabel): Arm => ({
  label: text,
  role: "context",
  speaksVxlan: false,
  refusal: () => missingProgram("tincd", "tinc"),
  start,
});
