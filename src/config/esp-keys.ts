/** The keys that tunnels of ESP have (tunnel-schema.ts). */
import type { z } from "zod";
import { key } from "./map.ts";
import { absolutePath, flag, integer } from "./value.ts";

export const espKeys: {
  readonly "key-file": z.ZodType<string, string>;
  readonly "extended-sequence": z.ZodDefault<ReturnType<typeof flag>>;
  readonly "replay-window": z.ZodDefault<ReturnType<typeof integer>>;
} = {
  "key-file": key(
    absolutePath(),
    "File with the security associations, one a line: `in` or `out`, the SPI, and in hex the AES key of 16 or 32 bytes with the four bytes of salt behind it, as `ip xfrm state` has it. One `out` and up to four `in`. It must be root's or the daemon's, and nobody else's to read; `vtepctl link rekey` reads it again.",
    { examples: ["/etc/vtepd/site-b.key"] },
  ),
  "extended-sequence": key(
    flag().default(false),
    "Sequence numbers of 64 bits (RFC 4303 section 2.2.1); both ends must have the same. Without them an association ends after 2^32 packets.",
  ),
  "replay-window": key(
    integer(0, 1024).default(1024),
    "How far a packet's sequence number may be behind the highest that came. 0 takes every number, and any packet as often as it comes.",
    { unit: "packets" },
  ),
};
