/**
 * What keeps the daemon from being ready. It is ready when all that shall be carries frames: each tunnel has its device and
 * its underlay, and none waits to be made. Being alive is another thing (/healthz): to start a daemon anew because a cable is
 * out would help nobody.
 */
import type { Tunnel } from "./tunnel.ts";

/** In words, by tunnel; empty = ready. @param absentees tunnels made by hand that cannot be made now */
export const unreadyReasons = (tunnels: Iterable<Tunnel>, absentees: number): string[] => {
  const reasons: string[] = [];
  for (const { config, device, underlayProblem } of tunnels) {
    if (device.info() === undefined) reasons.push(`${config.name}: its device is gone`);
    else if (underlayProblem !== undefined) reasons.push(`${config.name}: ${underlayProblem.message}`);
  }
  if (absentees > 0) reasons.push(`tunnels made by hand that cannot be made yet: ${absentees}`);
  return reasons;
};
