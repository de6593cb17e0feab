/**
 * Mode `vxlan`: Ethernet in VXLAN in UDP (RFC 7348). What the daemon must know of the mode to run a tunnel of it: the
 * VXLAN overhead, and the header that goes before each frame.
 */
import { AF_INET } from "../binding/abi.ts";
import { UNDERLAY_HEADER_BYTES, type UnderlayHeaders, writeUnderlayHeaders } from "../wire/underlay-headers.ts";
import { VXLAN_HEADER_BYTES, writeVxlan } from "../wire/vxlan.ts";

/** The largest UDP payload over IPv4; over IPv6 it is 20 bytes more. */
export const MAX_UDP_PAYLOAD_BYTES = 65_507;

const INNER_ETHERNET_BYTES = 14;
const UDP_HEADER_BYTES = 8;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;

/** Bytes of tunnel header between the UDP header and the inner frame. */
export const VXLAN_TUNNEL_HEADER_BYTES: number = VXLAN_HEADER_BYTES;

/** What an overlay packet of the device's MTU grows by on its way into an underlay packet: 50 over IPv4, 70 over IPv6. */
export const vxlanOverheadBytes = (family: number): number =>
  INNER_ETHERNET_BYTES +
  VXLAN_HEADER_BYTES +
  UDP_HEADER_BYTES +
  (family === AF_INET ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES);

/** Bytes of the datagram that carries a frame of the device's MTU. */
export const vxlanDatagramBytes = (mtu: number): number => VXLAN_HEADER_BYTES + INNER_ETHERNET_BYTES + mtu;

/** Bytes of the largest frame, Ethernet header and tags included, in a packet of `mtu` bytes. */
export const vxlanFrameBytes = (mtu: number, family: number): number =>
  mtu + INNER_ETHERNET_BYTES - vxlanOverheadBytes(family);

/** The tunnel header of every frame with this VNI. */
export const vxlanTemplate = (vni: number): Uint8Array => {
  const template = new Uint8Array(VXLAN_HEADER_BYTES);
  writeVxlan(template, 0, vni);
  return template;
};

/** All headers of every frame with this VNI, from Ethernet on, for an uplink. */
export const vxlanPacketTemplate = (vni: number, underlay: UnderlayHeaders): Uint8Array => {
  const template = new Uint8Array(UNDERLAY_HEADER_BYTES + VXLAN_HEADER_BYTES);
  writeUnderlayHeaders(template, 0, underlay);
  writeVxlan(template, UNDERLAY_HEADER_BYTES, vni);
  return template;
};
