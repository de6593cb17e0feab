/** What the host's routing tables say about the way to a remote VTEP: source address, device and its MTU. */
import { VtepdError } from "../errors.ts";
import { queryIp } from "./iproute.ts";

interface RouteRow {
  readonly dev?: string;
  readonly prefsrc?: string;
  readonly metrics?: readonly { readonly mtu?: number }[];
}

interface LinkRow {
  readonly ifindex: number;
  readonly ifname: string;
  readonly mtu: number;
}

interface VxlanRow extends LinkRow {
  readonly linkinfo?: { readonly info_data?: { readonly port?: number } };
}

export interface UnderlayRoute {
  readonly device: string;
  /** Source address the host would use. */
  readonly source: string;
  /** Bytes: the route's own MTU where it has one, else the device's. */
  readonly mtu: number;
}

const LOOPBACK_DEVICE = "lo";

/** @throws ERR_NO_ROUTE */
export const lookUpRoute = async (
  remote: string,
  link: string | undefined,
  netns: string | undefined,
): Promise<UnderlayRoute> => {
  const pin = link === undefined ? [] : ["oif", link];
  const rows = await queryIp<RouteRow>(["route", "get", remote, ...pin], netns).catch((cause: unknown) => {
    throw new VtepdError(
      "ERR_NO_ROUTE",
      `expected a route to the remote VTEP ${remote}, got: ${(cause as Error).message}`,
      { cause },
    );
  });
  const [row] = rows;
  if (row?.dev === undefined || row.prefsrc === undefined) {
    throw new VtepdError("ERR_NO_ROUTE", `expected a route to the remote VTEP ${remote}, the host has none`);
  }
  const mtu = row.metrics?.find((metric) => metric.mtu !== undefined)?.mtu;
  return { device: row.dev, source: row.prefsrc, mtu: mtu ?? (await findInterface(row.dev, netns)).mtu };
};

/** @throws ERR_INTERFACE_NOT_FOUND */
export const findInterface = async (
  name: string,
  netns: string | undefined,
): Promise<{ ifindex: number; mtu: number }> => {
  const rows = await queryIp<LinkRow>(["link", "show", "dev", name], netns).catch(() => []);
  const [row] = rows;
  if (row === undefined) {
    throw new VtepdError(
      "ERR_INTERFACE_NOT_FOUND",
      `expected an underlay interface named ${name}, ${netns === undefined ? "this host" : `the network namespace ${netns}`} has none`,
    );
  }
  return { ifindex: row.ifindex, mtu: row.mtu };
};

/** MTU of the interface that has the address, or undefined when none has it. */
export const mtuOfAddress = async (address: string, netns: string | undefined): Promise<number | undefined> => {
  const rows = await queryIp<LinkRow>(["addr", "show", "to", address], netns);
  return (rows.find((row) => row.ifname !== LOOPBACK_DEVICE) ?? rows[0])?.mtu;
};

/** Name of the kernel's own vxlan device that holds a UDP port, if one does. */
export const kernelVxlanOnPort = async (port: number, netns: string | undefined): Promise<string | undefined> => {
  const rows = await queryIp<VxlanRow>(["-d", "link", "show", "type", "vxlan"], netns).catch(() => []);
  return rows.find((row) => row.linkinfo?.info_data?.port === port)?.ifname;
};
