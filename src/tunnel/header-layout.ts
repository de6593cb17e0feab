/** Where the payload begins behind a tunnel header, packed into the word that the addon takes (binding/abi.ts, HEADER_*). */
import {
  HEADER_CHECKSUM,
  HEADER_FLAGS_SHIFT,
  HEADER_PAYLOAD_ETHERNET,
  HEADER_PAYLOAD_ETHERTYPE,
  HEADER_PAYLOAD_IP,
  HEADER_PREFIX_SHIFT,
  HEADER_UNITS_SHIFT,
} from "../binding/abi.ts";

export interface HeaderLayout {
  /** Bytes before the header proper, a multiple of 4. */
  readonly prefix?: number;
  /** Bytes that are always there. */
  readonly base: number;
  /** Bits of the first byte, each of which means 4 bytes more. */
  readonly flags?: number;
  /** Bits of the first byte that are the number of further 4-byte units. */
  readonly units?: number;
  /** `by ethertype`: bytes 2 and 3 tell. */
  readonly payload: "ethernet" | "ip" | "by ethertype";
  /** Whether there may be a GRE checksum to verify. */
  readonly checksum?: boolean;
}

const PAYLOADS = {
  ethernet: HEADER_PAYLOAD_ETHERNET,
  ip: HEADER_PAYLOAD_IP,
  "by ethertype": HEADER_PAYLOAD_ETHERTYPE,
} as const;

export const headerLayout = ({ prefix = 0, base, flags = 0, units = 0, payload, checksum }: HeaderLayout): number =>
  base |
  (flags << HEADER_FLAGS_SHIFT) |
  (units << HEADER_UNITS_SHIFT) |
  PAYLOADS[payload] |
  ((prefix / 4) << HEADER_PREFIX_SHIFT) |
  (checksum ? HEADER_CHECKSUM : 0);
