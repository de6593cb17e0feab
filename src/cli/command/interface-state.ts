/** What an interface loses when it goes to another network namespace, and gets again there or back at home. */
import { isIPv6 } from "node:net";
import type { RealIp } from "./real-ip.ts";

export interface InterfaceState {
  readonly isUp: boolean;
  readonly master: string | undefined;
  /** As `ip address add` takes them. */
  readonly addresses: readonly (readonly string[])[];
  /** As `ip route add` takes them, without the interface. */
  readonly routes: readonly (readonly string[])[];
}

interface AddressJson {
  readonly local?: string;
  /** The other end's, of an interface with two. */
  readonly address?: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly dynamic?: boolean;
  readonly protocol?: string;
}

interface InterfaceJson {
  readonly flags: readonly string[];
  readonly master?: string;
  readonly addr_info?: readonly AddressJson[];
}

const addressWords = ({ local, address, prefixlen }: AddressJson): string[] =>
  address === undefined ? [`${local}/${prefixlen}`] : [local!, "peer", `${address}/${prefixlen}`];

/** Routes that somebody has added; those that come with addresses come with them again. */
const routesOf = (ip: RealIp, dev: string): string[][] =>
  ["-4", "-6"].flatMap((family) =>
    ip
      .run(family, "route", "show", "dev", dev)
      .split("\n")
      .map((line) => line.replaceAll(/\b(linkdown|dead)\b/g, "").trim())
      .filter((line) => line !== "" && !/\bproto (kernel|ra)\b/.test(line))
      .map((line) => [family, ...line.split(/\s+/)]),
  );

/** @throws ERR_HOST_COMMAND when there is no such interface */
export const stateOf = (ip: RealIp, dev: string): InterfaceState => {
  const [found] = ip.json<InterfaceJson>("address", "show", "dev", dev);
  const { flags, master, addr_info: addresses = [] } = found!;
  const isLasting = ({ local, scope, dynamic, protocol }: AddressJson): boolean =>
    local !== undefined && scope !== "link" && dynamic !== true && protocol === undefined;
  return {
    isUp: flags.includes("UP"),
    master,
    addresses: addresses.filter(isLasting).map(addressWords),
    routes: routesOf(ip, dev),
  };
};

/** @throws ERR_HOST_COMMAND at the first thing that cannot be so */
export const giveState = (ip: RealIp, dev: string, { isUp, master, addresses, routes }: InterfaceState): void => {
  if (master !== undefined) ip.run("link", "set", "dev", dev, "master", master);
  for (const words of addresses) ip.run("address", "add", ...words, "dev", dev);
  if (isUp) ip.run("link", "set", "dev", dev, "up");
  for (const [family, ...words] of routes) ip.run(family!, "route", "add", ...words, "dev", dev);
};

/** Of the address, or of the network. */
export const familyOf = (text: string): "-4" | "-6" => (isIPv6(text.split("/")[0]!) ? "-6" : "-4");
