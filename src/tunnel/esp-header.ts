/** What the modes with ESP have in common (RFC 4303, tunnel mode; RFC 4106, AES-GCM). */
import { HEADER_PAYLOAD_SEALED } from "../binding/abi.ts";
import { PROTOCOL_ESP } from "../wire/underlay-headers.ts";
import { COMMON_KEYS, ENCAP_KEYS, ESP_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

/** SPI, sequence number, initialisation vector. */
const HEADER_BYTES = 16;
/** Length of the padding, next header; the integrity check value. */
const TRAILER_BYTES = 2;
const ICV_BYTES = 16;
const ALIGNMENT = 4;

export const ESP: Pick<
  Mode,
  "payloads" | "carriers" | "format" | "layout" | "headerBytes" | "alignment" | "writeHeader" | "keys" | "required"
> = {
  payloads: ["ipv4", "ipv6"],
  carriers: () => [{ protocol: PROTOCOL_ESP, port: 0 }],
  format: () => ({ kind: "esp" }),
  layout: HEADER_PAYLOAD_SEALED | HEADER_BYTES,
  headerBytes: () => HEADER_BYTES + TRAILER_BYTES + ICV_BYTES,
  alignment: { behind: TRAILER_BYTES, bytes: ALIGNMENT },
  // The addon makes it: each packet's is another.
  writeHeader: () => new Uint8Array(0),
  keys: [...COMMON_KEYS, ...ESP_KEYS, ...ENCAP_KEYS],
  required: ["key-file"],
};
