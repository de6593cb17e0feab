/** Records of a capture (dataplane/capture-ring.ts) as packets of a pcapng file. Main thread. */
import { OUTER_DF, OUTER_TOS, OUTER_TTL } from "../binding/abi.ts";
import { addon } from "../binding/addon.ts";
import {
  CAPTURE_BD,
  CAPTURE_BINDING,
  CAPTURE_CAPTURED,
  CAPTURE_DESTINATION,
  CAPTURE_GSO,
  CAPTURE_HEAD,
  CAPTURE_HEAD_LENGTH,
  CAPTURE_KIND,
  CAPTURE_LENGTH,
  CAPTURE_OUTER,
  CAPTURE_PORT,
  CAPTURE_REASON,
  CAPTURE_REMOTE,
  CAPTURE_SEGMENTS,
  CAPTURE_SKEW,
  CAPTURE_SOURCE,
  CAPTURE_SOURCE_PORT,
  CAPTURE_TIME,
  CAPTURED_FROM_DEVICE,
  CAPTURED_RECEIVED,
  CAPTURED_SENT,
  type CaptureRing,
  RECORD_WORDS,
} from "../dataplane/capture-ring.ts";
import { REMOTE_UDP_PORT } from "../dataplane/remote-table.ts";
import type { Tables } from "../dataplane/tables.ts";
import { DROP_REASONS } from "../drop-reason.ts";
import { type OuterHeaders, outerHeaderBytes, writeOuterHeaders } from "../wire/outer-packet.ts";
import { PACKET_INBOUND, PACKET_OUTBOUND, type Packet } from "../wire/pcapng.ts";
import { PROTOCOL_UDP, underlayHeaderBytes } from "../wire/underlay-headers.ts";
import type { Receivers } from "./receivers.ts";
import type { Transmitters } from "./transmitters.ts";
import type { Tunnel } from "./tunnel.ts";

/** Of received packets nobody tells it; of sent ones it is what Linux has unless told otherwise. */
const DEFAULT_TTL = 64;
const ETHERNET_HEADER_BYTES = 14;
/** SPI, sequence number, initialisation vector: tcpdump wants them all. */
const ESP_SHOWN_BYTES = 16;

const NO_BYTES: Uint8Array = new Uint8Array(0);

/** A packet without the interface that it is of. */
export interface CapturedPacket extends Omit<Packet, "id"> {
  /** 0 = of no tunnel. */
  readonly bd: number;
  readonly isOuter: boolean;
}

/** What a capture has of a packet that is sealed on its way. */
interface Sealed {
  readonly bytes: Uint8Array;
  /** Behind the outer headers, as it was there. */
  readonly length: number;
  readonly comment: string;
}

export interface CaptureSources {
  readonly tables: Tables;
  readonly receivers: Receivers;
  readonly transmitters: Transmitters;
}

/**
 * Of ESP the tap sees what is inside, before it is sealed and after it was opened. On the underlay it is sealed: of such packets
 * there is the header alone, as of ones that are cut short; the sequence number of a sent one nobody tells. @param frame bytes in front of
 * which the outer header comes @returns undefined for whatever is no such packet
 */
const sealed = (
  ring: CaptureRing,
  record: number,
  tunnel: Tunnel | undefined,
  frame: Uint8Array,
): Sealed | undefined => {
  if (tunnel?.encapsulation.format.kind !== "esp") return undefined;
  const { words } = ring;
  const length = words[record + CAPTURE_LENGTH]!;
  if (words[record + CAPTURE_KIND] === CAPTURED_SENT) {
    const bytes = Buffer.alloc(ESP_SHOWN_BYTES);
    bytes.writeUInt32BE(tunnel.associations.outboundSpi ?? 0);
    return { bytes, length: tunnel.encapsulation.datagramBytes(length), comment: "esp: sequence number unknown" };
  }
  const headerBytes = words[record + CAPTURE_HEAD_LENGTH]!;
  if (words[record + CAPTURE_KIND] !== CAPTURED_RECEIVED || headerBytes === 0) return undefined;
  return {
    bytes: frame.subarray(0, headerBytes),
    length: tunnel.encapsulation.datagramBytes(length - headerBytes),
    comment: "",
  };
};

/** @param worker whose ring it is @param withEthernet packets without an Ethernet header get one, of zeros */
export const readCaptured = (
  sources: CaptureSources,
  ring: CaptureRing,
  record: number,
  worker: number,
  tunnelOf: (bd: number) => Tunnel | undefined,
  withEthernet: boolean,
): CapturedPacket => {
  const { words } = ring;
  const kind = words[record + CAPTURE_KIND]!;
  const bd = words[record + CAPTURE_BD]!;
  const isOuter = kind === CAPTURED_RECEIVED || kind === CAPTURED_SENT;
  const outer = isOuter ? outerHeaders(sources, ring, record, worker) : undefined;
  const captured = words[record + CAPTURE_CAPTURED]!;
  const from = (record + RECORD_WORDS) * 4 + words[record + CAPTURE_SKEW]!;
  const inside = ring.bytes.subarray(from, from + captured);
  const tunnel = tunnelOf(bd);
  const esp = isOuter ? sealed(ring, record, tunnel, inside) : undefined;
  const frame = esp?.bytes ?? inside;
  const head = kind === CAPTURED_SENT ? tunnelHeader(sources, ring, record) : NO_BYTES;
  const isPacket = isOuter || tunnel?.encapsulation.isEthernet === false;
  const ethernetBytes = withEthernet && isPacket ? ETHERNET_HEADER_BYTES : 0;
  const ipBytes = outer === undefined ? 0 : outerHeaderBytes(outer);
  const before = ethernetBytes + ipBytes + head.length;
  const bytes = Buffer.allocUnsafe(before + frame.length).fill(0, 0, before);
  bytes.set(head, ethernetBytes + ipBytes);
  bytes.set(frame, before);
  const length = esp?.length ?? words[record + CAPTURE_LENGTH]!;
  if (outer !== undefined) writeOuterHeaders(bytes.subarray(ethernetBytes), outer, head.length + length);
  if (ethernetBytes > 0) writeEthertype(bytes);
  const isOutbound = kind === CAPTURED_FROM_DEVICE || kind === CAPTURED_SENT;
  return {
    bd,
    isOuter,
    timeMs: ring.doubles[(record + CAPTURE_TIME) >> 1]!,
    bytes,
    length: before + length,
    direction: isOutbound ? PACKET_OUTBOUND : PACKET_INBOUND,
    comment: commentOf(ring, record, esp?.comment ?? ""),
  };
};

const commentOf = ({ words }: CaptureRing, record: number, more: string): string => {
  const reason = words[record + CAPTURE_REASON]!;
  const segments = words[record + CAPTURE_SEGMENTS]!;
  if (reason === 0 && segments <= 1) return more;
  const size = words[record + CAPTURE_GSO]! & 0xffff;
  return [
    ...(reason === 0 ? [] : [`drop: ${DROP_REASONS[reason]?.name}`]),
    ...(more === "" ? [] : [more]),
    ...(segments > 1 ? [`superframe: ${segments} segments${size === 0 ? "" : ` of ${size} bytes`}`] : []),
  ].join("; ");
};

/** Zeros, and the ethertype by the IP version. */
const writeEthertype = (bytes: Uint8Array): void => {
  const isIpv6 = (bytes[ETHERNET_HEADER_BYTES] ?? 0) >>> 4 === 6;
  bytes.set(isIpv6 ? [0x86, 0xdd] : [0x08, 0x00], ETHERNET_HEADER_BYTES - 2);
};

/** What stood in front of the frame, without the headers that an uplink has there, too. */
const tunnelHeader = ({ transmitters }: CaptureSources, ring: CaptureRing, record: number): Uint8Array => {
  const from = (record + CAPTURE_HEAD) * 4;
  const bytes = ring.bytes.subarray(from, from + ring.words[record + CAPTURE_HEAD_LENGTH]!);
  const socket = transmitters.socketOf(ring.words[record + CAPTURE_PORT]!, 0);
  return socket?.isUplink === true ? bytes.subarray(underlayHeaderBytes(socket.protocol)) : bytes;
};

const outerHeaders = (sources: CaptureSources, ring: CaptureRing, record: number, worker: number): OuterHeaders =>
  ring.words[record + CAPTURE_KIND] === CAPTURED_RECEIVED
    ? received(sources, ring, record)
    : sent(sources, ring, record, worker);

const received = ({ receivers }: CaptureSources, ring: CaptureRing, record: number): OuterHeaders => {
  const { words } = ring;
  const spec = receivers.list().find(({ id }) => id === words[record + CAPTURE_BINDING])?.spec;
  const at = (word: number): Uint8Array => ring.bytes.subarray((record + word) * 4, (record + word) * 4 + 16);
  const source = at(CAPTURE_SOURCE);
  const told = at(CAPTURE_DESTINATION);
  const destination = isZero(told, 16) && spec !== undefined ? spec.address.mapped : told;
  return {
    ...alike(source, destination),
    protocol: spec?.protocol ?? PROTOCOL_UDP,
    tos: words[record + CAPTURE_OUTER]! & 255,
    ttl: DEFAULT_TTL,
    hasDf: false,
    srcPort: words[record + CAPTURE_SOURCE_PORT]!,
    dstPort: spec?.port ?? 0,
  };
};

const sent = (sources: CaptureSources, ring: CaptureRing, record: number, worker: number): OuterHeaders => {
  const { words } = ring;
  const { tables, receivers, transmitters } = sources;
  const remote = words[record + CAPTURE_REMOTE]!;
  const port = words[record + CAPTURE_PORT]!;
  const outer = words[record + CAPTURE_OUTER]!;
  const destination = tables.remotes.address(remote);
  const socket = transmitters.socketOf(port, worker);
  const own = receivers.list().find((receiver) => receiver.port === port)?.spec;
  const fd = socket?.fd;
  return {
    ...alike(socket?.local.mapped ?? own?.address.mapped ?? destination, destination),
    protocol: socket?.protocol ?? own?.protocol ?? PROTOCOL_UDP,
    tos: (outer & OUTER_TOS) === 0 ? 0 : outer & 255,
    ttl: (outer & OUTER_TTL) === 0 ? DEFAULT_TTL : (outer >> 8) & 255,
    hasDf: (outer & OUTER_DF) !== 0 || socket?.hasDf === true,
    srcPort: own?.port ?? (fd === undefined ? 0 : addon.udpPort(fd)),
    dstPort: tables.remotes.get(remote, REMOTE_UDP_PORT),
  };
};

const isZero = (bytes: Uint8Array, length: number): boolean => {
  for (let i = 0; i < length; i++) if (bytes[i] !== 0) return false;
  return true;
};

const isIpv4 = (mapped: Uint8Array): boolean => mapped[10] === 0xff && mapped[11] === 0xff && isZero(mapped, 10);

/** Both as 4 bytes, or as 16. */
const alike = (src: Uint8Array, dst: Uint8Array): { src: Uint8Array; dst: Uint8Array } =>
  isIpv4(src) && isIpv4(dst) ? { src: src.subarray(12), dst: dst.subarray(12) } : { src, dst };
