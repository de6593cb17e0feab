/** Mode `vti`: IPv4 and IPv6 packets in IPsec ESP (RFC 4303) over IPv4. */
import { AF_INET } from "../binding/abi.ts";
import { ESP } from "./esp-header.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...ESP,
  name: "vti",
  meaning: "IPsec ESP (RFC 4303) with AES-GCM and IP packets inside, over IPv4",
  families: [AF_INET],
};
