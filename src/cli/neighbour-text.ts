/** Neighbours as lines of `ip neigh show`. */
import type { NeighbourJson } from "../control/neighbour-json.ts";

/** `withTimes`: seconds since it was heard and since it changed. No newline. */
export const neighbourText = (neighbour: NeighbourJson, withTimes: boolean): string => {
  const words: (string | number)[] = [neighbour.dst, "dev", neighbour.dev, "lladdr", neighbour.lladdr];
  if (neighbour.router === null) words.push("router");
  if (withTimes) words.push("used", `${neighbour.used}/${neighbour.updated}`);
  return [...words, ...neighbour.state].join(" ");
};
