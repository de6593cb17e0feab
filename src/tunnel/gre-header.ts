/** What the modes with a GRE header have in common. */
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_TEB,
  GRE_BASE_BYTES,
  GRE_CHECKSUM,
  GRE_KEY,
  GRE_SEQUENCE,
  greHeaderBytes,
  writeGre,
} from "../wire/gre.ts";
import { PROTOCOL_GRE } from "../wire/underlay-headers.ts";
import { headerLayout } from "./header-layout.ts";
import type { HeaderOptions, Mode, Payload } from "./mode.ts";

const ETHERTYPES = { ethernet: ETHERTYPE_TEB, ipv4: ETHERTYPE_IPV4, ipv6: ETHERTYPE_IPV6 } as const;

const flagsOf = ({ key, checksum, sequence }: HeaderOptions): number =>
  (checksum ? GRE_CHECKSUM : 0) | (key === undefined ? 0 : GRE_KEY) | (sequence ? GRE_SEQUENCE : 0);

const writeHeader = (options: HeaderOptions, payload: Payload): Uint8Array => {
  const flags = flagsOf(options);
  const header = new Uint8Array(greHeaderBytes(flags));
  writeGre(header, 0, flags, ETHERTYPES[payload], options.key ?? 0);
  return header;
};

export const GRE: Pick<Mode, "carriers" | "format" | "layout" | "headerBytes" | "writeHeader"> = {
  carriers: () => [{ protocol: PROTOCOL_GRE, port: 0 }],
  format: () => ({ kind: "gre" }),
  layout: headerLayout({
    base: GRE_BASE_BYTES,
    flags: GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE,
    payload: "by ethertype",
    checksum: true,
  }),
  headerBytes: (options) => greHeaderBytes(flagsOf(options)),
  writeHeader,
};
