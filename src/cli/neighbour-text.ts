/** Neighbours and events as lines of `ip neigh show` and `ip monitor`. */
import type { EventJson } from "../control/event-routes.ts";
import type { NeighbourJson } from "../control/neighbour-json.ts";

/** `withTimes`: seconds since it was heard and since it changed. No newline. */
export const neighbourText = (neighbour: NeighbourJson, withTimes: boolean): string => {
  const words: (string | number)[] = [neighbour.dst, "dev", neighbour.dev, "lladdr", neighbour.lladdr];
  if (neighbour.router === null) words.push("router");
  if (withTimes) words.push("used", `${neighbour.used}/${neighbour.updated}`);
  return [...words, ...neighbour.state].join(" ");
};

/** No newline. */
export const eventText = (event: EventJson): string => {
  switch (event.event) {
    case "l2-miss":
      return `miss dev ${event.dev} lladdr ${event.mac}`;
    case "l3-miss":
      return `miss ${event.address} dev ${event.dev}`;
    case "neighbour": {
      const mac = event.mac === undefined ? "" : ` lladdr ${event.mac}`;
      return `neigh ${event.address} dev ${event.dev}${mac} ${event.change}`;
    }
    case "lost":
      return `lost ${event.count} events: this reader was too slow`;
  }
};
