/** Events as lines in the habit of `ip monitor` and `bridge monitor`. */
import type { EventJson } from "../control/event-routes.ts";

/** The line that `ip -timestamp monitor` prints before an event. */
const timestamp = (time: string): string => {
  const at = new Date(time);
  const word = (options: Intl.DateTimeFormatOptions): string => at.toLocaleString("en-GB", options);
  const day = `${word({ weekday: "short" })} ${word({ month: "short" })} ${String(at.getDate()).padStart(2)}`;
  const clock = at.toLocaleTimeString("en-GB");
  return `Timestamp: ${day} ${clock} ${at.getFullYear()} ${at.getMilliseconds() * 1000} usec\n`;
};

/** How times are printed: not, in a line of their own, or in front. */
export type Times = "none" | "long" | "short";

/** No newline at the end. */
export const timedEventText = (event: EventJson, times: Times): string => {
  const text = eventText(event);
  if (times === "none") return text;
  return times === "long" ? `${timestamp(event.time)}${text}` : `[${event.time}] ${text}`;
};

/** As iproute2 begins a line about what is gone. */
const deleted = (change: string): string => (change === "deleted" ? "Deleted " : "");

/** No newline. */
const eventText = (event: EventJson): string => {
  switch (event.event) {
    case "l2-miss":
      return `miss dev ${event.dev} lladdr ${event.mac}`;
    case "l3-miss":
      return `miss ${event.address} dev ${event.dev}`;
    case "neighbour": {
      const mac = event.mac === undefined ? "" : ` lladdr ${event.mac}`;
      const router = event.router === true ? " router" : "";
      const isOurs = ["added", "changed", "deleted"].includes(event.change);
      const end = isOurs ? "PERMANENT" : event.change;
      return `${deleted(event.change)}neigh ${event.address} dev ${event.dev}${mac}${router} ${end}`;
    }
    case "learn":
      return `fdb ${event.mac} dev ${event.dev} dst ${event.dst} self`;
    case "move":
      return `fdb ${event.mac} dev ${event.dev} dst ${event.dst} self moved from ${event.from}`;
    case "age":
      return `Deleted fdb ${event.mac} dev ${event.dev} dst ${event.dst} self aged`;
    case "fdb": {
      const port = event.port === undefined ? "" : ` port ${event.port}`;
      const vni = event.vni === undefined ? "" : ` vni ${event.vni}`;
      const via = event.via === undefined ? "" : ` via ${event.via}`;
      const flags = `self${event.sticky === true ? " sticky" : ""}${event.owner === "learned" ? "" : " permanent"}`;
      return `${deleted(event.change)}fdb ${event.mac} dev ${event.dev} dst ${event.dst}${port}${vni}${via} ${flags}`;
    }
    case "link": {
      const why = event.code === undefined ? "" : ` ${event.code}: ${event.message}`;
      const keys = event.keys === undefined ? "" : ` ${event.keys.join(" ")}`;
      const mtu = event.mtu === undefined ? "" : ` ${event.mtu}`;
      return `${deleted(event.change)}link dev ${event.dev} ${event.change}${keys}${mtu}${why}`;
    }
    case "peer": {
      const mtu = event.pathMtu === undefined ? "" : ` ${event.pathMtu}`;
      return `${event.change === "removed" ? "Deleted " : ""}peer ${event.address} dev ${event.dev} ${event.change}${mtu}`;
    }
    case "lost":
      return `lost ${event.count} events: this reader was too slow`;
  }
};
