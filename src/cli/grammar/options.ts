/** The options, which stand before the object. */

export type OptionName =
  | "json"
  | "pretty"
  | "stats"
  | "details"
  | "timestamp"
  | "tshort"
  | "brief"
  | "oneline"
  | "netns"
  | "batch"
  | "force"
  | "color"
  | "4"
  | "6"
  | "socket"
  | "Version"
  | "help";

export interface Option {
  readonly name: OptionName;
  /** Another spelling that is understood. */
  readonly alias?: string;
  /** Characters that suffice. */
  readonly shortest: number;
  /** Placeholder of its value. */
  readonly value?: string;
  readonly summary: string;
}

export const OPTIONS: readonly Option[] = [
  { name: "json", shortest: 1, summary: "print JSON" },
  { name: "pretty", shortest: 1, summary: "with -json: over several lines" },
  { name: "stats", alias: "statistics", shortest: 1, summary: "print counters and times too" },
  { name: "details", shortest: 1, summary: "accepted as `ip` does; details are always shown" },
  { name: "timestamp", shortest: 1, summary: "monitor: print the time before each event" },
  { name: "tshort", shortest: 2, summary: "monitor: print the time in front of each event" },
  { name: "brief", shortest: 2, summary: "with link show: a line for each" },
  { name: "oneline", shortest: 1, summary: "with link show: the lines of each joined by \\" },
  {
    name: "netns",
    shortest: 1,
    value: "NS",
    summary: "network namespace: where the devices are; of new tunnels the underlay too",
  },
  { name: "batch", shortest: 1, value: "FILE", summary: "run the lines of a file, or of - for standard input" },
  { name: "force", shortest: 2, summary: "with -batch: go on behind a line that fails" },
  { name: "color", shortest: 1, summary: "accepted as `ip` does; there are no colours" },
  { name: "4", shortest: 1, summary: "with tunnel show: those over IPv4 only" },
  { name: "6", shortest: 1, summary: "with tunnel show: those over IPv6 only" },
  { name: "socket", shortest: 2, value: "PATH", summary: "control socket of the daemon; also VTEPD_SOCKET" },
  { name: "Version", alias: "version", shortest: 1, summary: "print the version" },
  { name: "help", shortest: 1, summary: "print this" },
];
