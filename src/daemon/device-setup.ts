/**
 * What iproute2 does on the tunnels' devices after they are made, with one `ip` process for each network namespace: their
 * addresses, and the largest superframe the host's stack may make.
 */
import { batchIp } from "../host/iproute.ts";
import { MAX_UDP_PAYLOAD_BYTES } from "../tunnel/vxlan.ts";
import type { Tunnel } from "./tunnel.ts";

/** UDP_MAX_SEGMENTS of kernels before 6.9. */
const MAX_SEGMENTS = 64;

/**
 * Segments of full size that fit one datagram's worth of UDP_SEGMENT: with more, a superframe would be two sends.
 * @param segmentBytes tunnel header and frame
 */
const segmentsPerSend = (segmentBytes: number): number =>
  Math.max(1, Math.min(MAX_SEGMENTS, Math.trunc(MAX_UDP_PAYLOAD_BYTES / segmentBytes)));

/** @throws ERR_HOST_COMMAND */
export const setUpDevices = async (tunnels: readonly Tunnel[]): Promise<void> => {
  const byNamespace = new Map<string | undefined, string[]>();
  for (const { config, device, segmentBytes } of tunnels) {
    const { name, netns, addresses } = config;
    const lines = addresses.map((address) => `addr replace ${address} dev ${name}`);
    if (device.makesSuperframes) lines.unshift(`link set dev ${name} gso_max_segs ${segmentsPerSend(segmentBytes)}`);
    byNamespace.set(netns, [...(byNamespace.get(netns) ?? []), ...lines]);
  }
  for (const [netns, lines] of byNamespace) await batchIp(lines, netns);
};
