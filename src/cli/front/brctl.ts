/** `brctl`: the real one, and for hosts without it the words that the tutorials use, by `ip`. */
import type { Front } from "./front.ts";
import { capture, findProgram, passOn } from "./real-program.ts";

const EXIT_USAGE = 1;

interface BridgeJson {
  readonly ifname: string;
  readonly linkinfo: { readonly info_data: { readonly bridge_id: string; readonly stp_state: number } };
}

const list = <Device>(...words: readonly string[]): Device[] =>
  JSON.parse(capture("ip", ["-d", "-j", "link", "show", ...words]).stdout || "[]") as Device[];

/** `8000.2:0:0:0:0:1` of iproute2 as brctl has it. */
const plainId = (id: string): string => {
  const [priority = "", mac = ""] = id.split(".");
  return `${priority}.${mac
    .split(":")
    .map((octet) => octet.padStart(2, "0"))
    .join("")}`;
};

const show = (): string => {
  const lines = ["bridge name\tbridge id\t\tSTP enabled\tinterfaces"];
  for (const { ifname, linkinfo } of list<BridgeJson>("type", "bridge")) {
    const { bridge_id: id, stp_state: stp } = linkinfo.info_data;
    const [first = "", ...others] = list<{ ifname: string }>("master", ifname).map((port) => port.ifname);
    const isOn = stp === 0 ? "no" : "yes";
    lines.push(`${ifname}\t\t${plainId(id)}\t${isOn}\t\t${first}`, ...others.map((port) => `\t\t\t\t\t\t\t${port}`));
  }
  return `${lines.join("\n")}\n`;
};

const asIp = (verb: string | undefined, a: string, b: string): string[] | undefined => {
  switch (verb) {
    case "addbr":
      return ["link", "add", "name", a, "type", "bridge"];
    case "delbr":
      return ["link", "del", "dev", a, "type", "bridge"];
    case "addif":
      return ["link", "set", "dev", b, "master", a];
    case "delif":
      return ["link", "set", "dev", b, "nomaster"];
    case "stp":
      return ["link", "set", "dev", a, "type", "bridge", "stp_state", ["on", "yes"].includes(b) ? "1" : "0"];
    default:
      return undefined;
  }
};

/** Returns the exit status. */
export const brctl = (argv: readonly string[], { io }: Front): number => {
  if (findProgram("brctl") !== undefined) return passOn("brctl", argv);
  const [verb, name = "", port = ""] = argv;
  if (verb === "show") {
    io.out(show());
    return 0;
  }
  const words = asIp(verb, name, port);
  if (words !== undefined) return passOn("ip", words);
  io.err(
    `vtepctl brctl: bridge-utils is not installed, and "${argv.join(" ")}" is none of addbr, delbr, addif, delif, stp, show\n`,
  );
  return EXIT_USAGE;
};
