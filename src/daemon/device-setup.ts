/**
 * What iproute2 does on the tunnels' devices after they are made, with one `ip` process for each network namespace: their
 * addresses and routes, and the largest superframe the host's stack may make.
 */
import type { TunnelConfig } from "../config/config.ts";
import { networkOf } from "../config/network.ts";
import { batchIp } from "../host/iproute.ts";
import { routeWords } from "../host/own-routes.ts";
import { MAX_UDP_PAYLOAD_BYTES } from "../tunnel/mode.ts";
import { isatapAddress } from "./embedding.ts";
import type { Tunnel } from "./tunnel.ts";

/** UDP_MAX_SEGMENTS of kernels before 6.9. */
const MAX_SEGMENTS = 64;

/**
 * Segments of full size that fit one send with UDP_SEGMENT: with more, a superframe would be two sends.
 * @param segmentBytes tunnel header and frame
 */
const segmentsPerSend = (segmentBytes: number): number =>
  Math.max(1, Math.min(MAX_SEGMENTS, Math.trunc(MAX_UDP_PAYLOAD_BYTES / segmentBytes)));

const gsoLimit = ({ device, segmentBytes }: Tunnel): string[] =>
  device.makesSuperframes ? [`link set dev ${device.name} gso_max_segs ${segmentsPerSend(segmentBytes)}`] : [];

const addresses = ({ config, device }: Tunnel): string[] => {
  const { name } = device;
  const own = config.addresses.map((address) => `addr replace ${address} dev ${name}`);
  const linkLocal = isatapAddress(config);
  if (linkLocal === undefined) return own;
  // Of a TUN the kernel makes a random one, when it comes up.
  const instead = [`link set dev ${name} addrgenmode none`, `addr flush dev ${name} scope link`];
  return [...instead, `addr replace ${linkLocal} dev ${name}`, ...own];
};

/** What its addresses are in is routed by them already, and what may be routed directly is for direct-routes.ts. */
const routes = ({ config, device }: Tunnel): string[] => {
  const onLink = new Set(config.addresses.map(networkOf));
  return config.routes
    .filter(({ to, mayBeDirect }) => !onLink.has(to) && !mayBeDirect)
    .map(({ to, gateway }) => `route replace ${routeWords({ to, gateway, dev: device.name, isOnLink: true })}`);
};

/** The lines that all tunnels ask for, by the network namespace of their devices. */
const byNamespace = (
  tunnels: readonly Tunnel[],
  linesOf: (tunnel: Tunnel) => string[],
): Map<string | undefined, string[]> => {
  const lines = new Map<string | undefined, string[]>();
  for (const tunnel of tunnels) {
    const { netns } = tunnel.config;
    const known = lines.get(netns) ?? [];
    known.push(...linesOf(tunnel));
    lines.set(netns, known);
  }
  return lines;
};

/** What depends on the devices' MTU. Only speed does, and an old iproute2 has no word for it: a superframe is then two sends. */
export const setSegmentLimits = async (tunnels: readonly Tunnel[]): Promise<void> => {
  for (const [netns, lines] of byNamespace(tunnels, gsoLimit)) await batchIp(lines, netns).catch(() => {});
};

/** Takes addresses off that are not among these, and routes that nobody wants. Those that somebody else has taken off are no loss. */
export const dropAddresses = async ({ config, device }: Tunnel, before: TunnelConfig): Promise<void> => {
  const goneAddresses = before.addresses.filter((address) => !config.addresses.includes(address));
  const kept = new Set(config.routes.map(({ to }) => to));
  const goneRoutes = before.routes.filter(({ to, mayBeDirect }) => !kept.has(to) && !mayBeDirect);
  const lines = [
    ...goneRoutes.map(({ to }) => `route del ${to} dev ${device.name}`),
    ...goneAddresses.map((address) => `addr del ${address} dev ${device.name}`),
  ];
  for (const line of lines) await batchIp([line], config.netns).catch(() => {});
};

/** @throws ERR_HOST_COMMAND */
export const setUpDevices = async (tunnels: readonly Tunnel[]): Promise<void> => {
  await setSegmentLimits(tunnels);
  for (const [netns, lines] of byNamespace(tunnels, (tunnel) => [...addresses(tunnel), ...routes(tunnel)]))
    await batchIp(lines, netns);
};
