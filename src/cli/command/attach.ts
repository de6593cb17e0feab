/**
 * `attach` and `detach`: what people do by hand to give a container a tunnel's device. The device goes, the sockets stay where
 * they are. It loses its addresses and goes down on the way, so it gets them again there. When a step fails, it is at home
 * again, as it was.
 */
import type { LinkJson } from "../../control/link-json.ts";
import type { StatusJson } from "../../control/stats-json.ts";
import { VtepdError } from "../../errors.ts";
import { namespaceInode, namespacePath, pathOfInode } from "../namespace.ts";
import type { Call, Commands, Run } from "./call.ts";
import { namedPlace } from "./container.ts";
import { linkOf, placeOf } from "./device.ts";
import { familyOf, giveState, type InterfaceState, stateOf } from "./interface-state.ts";
import { settingsOf } from "./link.ts";
import { RealIp } from "./real-ip.ts";

/** The kernel gives a default route of IPv6 1024; one of ours wins. */
const IPV6_DEFAULT_METRIC = "512";

interface Place {
  readonly path: string;
  readonly ip: RealIp;
}

const place = (call: Call, path: string): Place => ({ path, ip: new RealIp(call, path) });

const isOf = (ip: RealIp, name: string): boolean =>
  ip.json<{ ifname?: string }>("link", "show").some(({ ifname }) => ifname === name);

/** Moves a device and does `then` there, or neither. @throws ERR_DEVICE_EXISTS, ERR_HOST_COMMAND */
const move = (dev: string, from: Place, to: Place, then: () => void): void => {
  if (isOf(to.ip, dev)) throw new VtepdError("ERR_DEVICE_EXISTS", `there is a device ${dev} already`);
  const before = stateOf(from.ip, dev);
  from.ip.run("link", "set", "dev", dev, "netns", to.path);
  try {
    then();
  } catch (error) {
    try {
      to.ip.run("link", "set", "dev", dev, "netns", from.path);
      giveState(from.ip, dev, before);
    } catch (cause) {
      const said = [error, cause].map((each) => (each as Error).message).join("; it cannot be taken back whole: ");
      throw new VtepdError("ERR_HOST_COMMAND", said, { cause });
    }
    throw error;
  }
};

const listOf = (text: string | undefined): string[] => (text === undefined ? [] : text.split(","));

/** As `route add` of net-tools: in front of a default route that is there. */
const defaultRoute = (ip: RealIp, dev: string, family: "-4" | "-6", via: readonly string[]): void => {
  const place = family === "-4" ? ["prepend", "default"] : ["add", "default", "metric", IPV6_DEFAULT_METRIC];
  const [verb, ...words] = place as [string, ...string[]];
  ip.run(family, "route", verb, ...words, ...via, "dev", dev);
};

/** What the line asks for. Without `address`, the addresses that the device has go along. */
const settle = ({ values }: Call, ip: RealIp, dev: string, before: InterfaceState): void => {
  const given = listOf(values.get("address"));
  const addresses = values.has("address") ? given.map((address) => [address]) : before.addresses;
  giveState(ip, dev, { isUp: true, master: undefined, addresses, routes: [] });
  const gateway = values.get("via");
  const via = gateway === undefined ? [] : ["via", gateway];
  for (const network of listOf(values.get("route")))
    ip.run(familyOf(network), "route", "add", network, ...via, "dev", dev);
  if (!values.has("default")) return;
  const families = new Set(
    gateway === undefined ? addresses.map(([address]) => familyOf(address!)) : [familyOf(gateway)],
  );
  for (const family of families.size === 0 ? (["-4"] as const) : families) defaultRoute(ip, dev, family, via);
};

const attach: Run = async (call) => {
  const { values, words } = call;
  if (values.has("via") && !values.has("default") && !values.has("route")) {
    throw words.incomplete(["default", "route ADDR/LENGTH"], '"via" is the gateway of "default" and "route"');
  }
  const to = place(call, namedPlace(call));
  const link = await linkOf(call, values.get("dev")!);
  const { ifname: dev } = link;
  const from = place(call, placeOf(link));
  if (namespaceInode(to.path) === link.vtepd.netns_inode) {
    throw new VtepdError("ERR_DEVICE_EXISTS", `${dev} is there already`);
  }
  const before = stateOf(from.ip, dev);
  move(dev, from, to, () => settle(call, to.ip, dev, before));
};

/** Path of the namespace where a tunnel's device was made. */
const homeOf = async ({ client }: Call, { vtepd: { netns } }: LinkJson): Promise<string> => {
  if (netns !== null) return namespacePath(netns);
  const { netns: daemon, pid } = await client.getJson<StatusJson>("/v1/status");
  return daemon === undefined ? `/proc/${pid}/ns/net` : pathOfInode(daemon);
};

const detach: Run = async (call) => {
  const name = call.values.get("dev")!;
  const link = await linkOf(call, name);
  const { ifname: dev, vtepd } = link;
  const from = place(call, placeOf(link));
  const to = place(call, await homeOf(call, link));
  if (namespaceInode(to.path) === vtepd.netns_inode) {
    throw new VtepdError("ERR_NETNS_NOT_FOUND", `${name} is not attached: its device is where its tunnel was made`);
  }
  // What the daemon gave it when it was made.
  const { addresses = [] } = (await settingsOf(call, name)) as { addresses?: readonly string[] };
  const { isUp } = stateOf(from.ip, dev);
  move(dev, from, to, () => {
    giveState(to.ip, dev, { isUp, master: undefined, addresses: addresses.map((each) => [each]), routes: [] });
    for (const { to: network, gateway, "direct-routing": isDirect } of isUp ? vtepd.routes : []) {
      const via = gateway === undefined ? [] : ["via", gateway, "onlink"];
      if (isDirect !== true) to.ip.run(familyOf(network), "route", "replace", network, ...via, "dev", dev);
    }
  });
};

export const attachCommands: Commands = { "attach attach": attach, "detach detach": detach };
