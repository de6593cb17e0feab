/** Frames as a trace puts them before the data plane: described by the addon, as a worker would have got them. */
import {
  FRAME_ASSOCIATION,
  FRAME_DATAGRAM_LENGTH,
  FRAME_DESTINATION,
  FRAME_HEADER_OFFSET,
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_PORT,
  FRAME_SEGMENTS,
  FRAME_SOURCE,
  FRAME_SOURCE_PORT,
  FRAME_WORDS,
} from "../binding/abi.ts";
import { addon } from "../binding/addon.ts";
import type { TunnelConfig } from "../config/config.ts";
import type { Batch } from "../dataplane/batch.ts";
import { BD_GRE_NEXT } from "../dataplane/bridge-domain.ts";
import { REHEARSAL_OFFSET } from "../dataplane/rehearsal.ts";
import type { Tables } from "../dataplane/tables.ts";
import { addressWords, parseVtepAddress } from "../dataplane/vtep-address.ts";
import { VtepdError } from "../errors.ts";
import { Encapsulation } from "./encapsulation.ts";
import type { Receiver } from "./receivers.ts";
import type { Tunnel } from "./tunnel.ts";

const SEQUENCE_BYTES = 4;
/** SPI, sequence number, initialisation vector. */
const ESP_HEADER_BYTES = 16;
/** A socket's of somebody: it decides nothing. */
const SOURCE_PORT = 49_152;

const describe = (batch: Batch, bytes: Uint8Array, isPacket: boolean, isFromOverlay: boolean): void => {
  const frame = new Int32Array(FRAME_WORDS);
  addon.describeFrame(bytes, frame, isPacket, isFromOverlay);
  frame[FRAME_LENGTH] = bytes.length;
  frame[FRAME_OFFSET] = REHEARSAL_OFFSET;
  frame[FRAME_SEGMENTS] = 1;
  batch.arena.set(bytes, REHEARSAL_OFFSET);
  batch.frames.set(frame, 0);
};

/** As it is read from the tunnel's device. */
export const fromDevice =
  ({ device, encapsulation }: Tunnel, bytes: Uint8Array): ((batch: Batch) => void) =>
  (batch) => {
    describe(batch, bytes, !encapsulation.isEthernet, true);
    batch.frames[FRAME_PORT] = device.spec.port;
  };

/** What a remote VTEP of the tunnel puts in front: our output is its input. */
const peersConfig = (config: TunnelConfig): TunnelConfig => {
  const { key, greChecksum, greSequence } = config;
  return {
    ...config,
    key: key === undefined ? undefined : { input: key.output, output: key.input },
    greChecksum: { input: greChecksum.output, output: greChecksum.input },
    greSequence: { input: greSequence.output, output: greSequence.input },
  };
};

export interface Datagram {
  readonly receiver: Receiver;
  /** The tunnel header. */
  readonly header: Uint8Array;
  /** Of the key that opens it, where it is sealed. */
  readonly spi: number | undefined;
  readonly place: (batch: Batch) => void;
}

/** What the addon leaves of a sealed packet that it has opened: its header, here with a sequence number that was never used. */
const openedHeader = (spi: number): Uint8Array => {
  const header = Buffer.alloc(ESP_HEADER_BYTES);
  header.writeUInt32BE(spi);
  return header;
};

/**
 * As it is received from a remote VTEP; where such packets are sealed, as it has just been opened.
 * @throws ERR_USAGE for ESP without a key to open anything, ERR_CONFIG_CONFLICT for a family without a local address
 */
export const fromVtep = (tunnel: Tunnel, tables: Tables, from: string, bytes: Uint8Array): Datagram => {
  const { config, endpoints } = tunnel;
  const isSealed = tunnel.encapsulation.format.kind === "esp";
  const association = isSealed ? tunnel.associations.inbound : undefined;
  if (isSealed && association === undefined) {
    throw new VtepdError("ERR_USAGE", `from: tunnel ${config.name} has no key that opens what comes`, { path: "from" });
  }
  const address = parseVtepAddress(from);
  const endpoint = endpoints.of(address.family, from, "from");
  const isIpv6 = !tunnel.encapsulation.isEthernet && bytes.length > 0 && bytes[0]! >>> 4 === 6;
  const { template, ipv6Template } = new Encapsulation(peersConfig(config)).templates(config.id);
  const ofMode = isIpv6 ? (ipv6Template ?? template) : template;
  const header = association === undefined ? ofMode.slice() : openedHeader(association.spi);
  if (config.greSequence.input) {
    const next = tables.bridgeDomains.get(tunnel.bd, BD_GRE_NEXT);
    new DataView(header.buffer).setInt32(header.length - SEQUENCE_BYTES, next);
  }
  const receiver = (isIpv6 ? endpoint.receivers[1] : undefined) ?? endpoint.receivers[0]!;
  const place = (batch: Batch): void => {
    describe(batch, bytes, !tunnel.encapsulation.isEthernet, false);
    const { frames, arena } = batch;
    const start = REHEARSAL_OFFSET - header.length;
    arena.set(header, start);
    frames[FRAME_PORT] = receiver.port;
    frames[FRAME_HEADER_OFFSET] = start;
    frames[FRAME_DATAGRAM_LENGTH] = header.length + bytes.length;
    frames[FRAME_SOURCE_PORT] = SOURCE_PORT;
    if (association !== undefined) frames[FRAME_ASSOCIATION] = association.row + 1;
    frames.set(addressWords(address.mapped), FRAME_SOURCE);
    frames.set(addressWords(endpoint.local.mapped), FRAME_DESTINATION);
  };
  return { receiver, header, spi: association?.spi, place };
};
