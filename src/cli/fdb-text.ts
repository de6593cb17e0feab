/** An FDB entry as a line of `bridge fdb show`. */
import type { FdbJson } from "../control/fdb-json.ts";

/** `withTimes`: seconds since the last hit and since the last change, as `bridge -s` has them. No newline. */
export const fdbText = (entry: FdbJson, withTimes: boolean): string => {
  const words: (string | number)[] = [entry.mac];
  if (entry.ifname !== undefined) words.push("dev", entry.ifname);
  words.push("dst", entry.dst);
  if (entry.vtepd?.name !== undefined) words.push("name", entry.vtepd.name);
  if (entry.port !== undefined) words.push("port", entry.port);
  if (entry.vni !== undefined) words.push("vni", entry.vni);
  if (entry.viaIf !== undefined) words.push("via", entry.viaIf);
  if (withTimes) words.push("used", `${entry.used}/${entry.updated}`);
  words.push(...entry.flags);
  if (entry.state !== "") words.push(entry.state);
  return words.join(" ");
};
