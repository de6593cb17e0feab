/** Which entries a flush of the FDB takes. */
import type { FdbEntryView, FdbFilter } from "../dataplane/view.ts";
import { monotonicS } from "./clock.ts";
import type { Tunnel } from "./tunnel.ts";

/** Whether a flush takes the entry. */
export const takes = (filter: FdbFilter, { config }: Tunnel, entry: FdbEntryView): boolean => {
  const { mac, dst, port, vni, state = "learned", idleS = 0, ageS = 0 } = filter;
  return (
    (state === "all" || entry.origin === state) &&
    (mac === undefined || entry.mac === mac) &&
    (dst === undefined || entry.dst === dst || entry.name === dst) &&
    (port === undefined || (entry.port ?? config.port) === port) &&
    (vni === undefined || (entry.vni ?? config.id) === vni) &&
    entry.usedS >= idleS &&
    entry.updatedS >= ageS
  );
};

/** Static entries whose host name has no address yet, and which a flush takes. */
export const waitingMacs = ({ forwarding: { statics } }: Tunnel, filter: FdbFilter): string[] => {
  const { mac, dst, port, vni, state = "learned", idleS = 0, ageS = 0 } = filter;
  if (state === "learned") return [];
  const madeBeforeS = monotonicS() - Math.max(idleS, ageS);
  return statics.macs().filter((candidate) => {
    const { wish, remote } = statics.get(candidate)!;
    return (
      remote === undefined &&
      (mac === undefined || candidate === mac) &&
      (dst === undefined || wish.dst === dst) &&
      (port === undefined || wish.port === port) &&
      (vni === undefined || wish.vni === vni) &&
      wish.sinceS <= madeBeforeS
    );
  });
};
