/** Kernel parameters of the daemon's network namespace, below /proc/sys/net. */
import { readFileSync, writeFileSync } from "node:fs";
import { VtepdError } from "../errors.ts";

const ROOT = "/proc/sys/net";

/** @param key e.g. `ipv4/conf/all/rp_filter` @returns undefined when this kernel has no such parameter */
export const readSysctl = (key: string): string | undefined => {
  try {
    return readFileSync(`${ROOT}/${key}`, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
};

/** @throws ERR_TUNNEL_OFFLOAD, e.g. where a container or a unit has /proc/sys read-only */
export const writeSysctl = (key: string, value: number): void => {
  try {
    writeFileSync(`${ROOT}/${key}`, `${value}`);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const message = `cannot write ${ROOT}/${key}: ${code}; expected /proc/sys/net to be writable (no ProtectKernelTunables=, no read-only container)`;
    throw new VtepdError("ERR_TUNNEL_OFFLOAD", message, { cause });
  }
};
