/** What `ip -d link show` prints, cut into devices, and with ours told as what they are instead of as TAP and TUN devices. */
import type { LinkJson } from "../../control/link-json.ts";
import { jsonText } from "../json-list.ts";
import { linkInfoText } from "../link-info-text.ts";
import type { Line } from "./line.ts";

/** Of `ip -j link`, what is looked at. */
interface DeviceJson {
  readonly ifname?: string;
  readonly linkinfo?: object;
}

/** Begins a device, by what stands before it in the text: its number, or with -brief nothing. */
const HEAD = /^(?:\d+: )(?<name>[^@:\s]+)/;
const BRIEF_HEAD = /^(?<name>[^@\s]+)/;
/** Words of a TAP or TUN device, between the lines before and what every device has. */
const TUN = /((?:\n|\\) {4})tun type .*?(?= addrgenmode | numtxqueues | ?(?:\n|\\|$))/s;

/** The lines of each device. */
const devices = (text: string, isBrief: boolean): [name: string, text: string][] => {
  const found: [string, string][] = [];
  for (const line of text.split(/(?<=\n)/)) {
    const name = (isBrief ? BRIEF_HEAD : HEAD).exec(line)?.groups?.["name"];
    if (name !== undefined) found.push([name, line]);
    else if (found.length > 0) found.at(-1)![1] += line;
  }
  return found;
};

const detailed = (text: string, { linkinfo }: LinkJson): string =>
  text.replace(TUN, (_, before: string) => before + linkInfoText(linkinfo));

const detailedJson = (device: DeviceJson, { linkinfo }: LinkJson): DeviceJson =>
  device.linkinfo === undefined ? device : { ...device, linkinfo: { ...device.linkinfo, ...linkinfo } };

/**
 * @param text of the real `ip link show` with the options of `line`
 * @param ours by name @param isWanted which devices are shown
 */
export const retold = (
  line: Line,
  text: string,
  ours: ReadonlyMap<string, LinkJson>,
  isWanted: (name: string) => boolean = () => true,
): string => {
  if (!line.has("json")) {
    return devices(text, line.has("brief"))
      .filter(([name]) => isWanted(name))
      .map(([name, device]) => (ours.has(name) ? detailed(device, ours.get(name)!) : device))
      .join("");
  }
  const all = (JSON.parse(text || "[]") as DeviceJson[])
    .filter(({ ifname = "" }) => isWanted(ifname))
    .map((device) => {
      const link = ours.get(device.ifname ?? "");
      return link === undefined ? device : detailedJson(device, link);
    });
  return jsonText(all, line.has("pretty"));
};

/** Two outputs as one. */
export const joined = (line: Line, first: string, second: string): string => {
  if (!line.has("json")) return first + second;
  const all = [first, second].flatMap((text) => JSON.parse(text.trim() || "[]") as unknown[]);
  return jsonText(all, line.has("pretty"));
};
