/** Mode `vti6`: IPv4 and IPv6 packets in IPsec ESP (RFC 4303) over IPv6. */
import { AF_INET6 } from "../binding/abi.ts";
import { ESP } from "./esp-header.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...ESP,
  name: "vti6",
  meaning: "IPsec ESP (RFC 4303) with AES-GCM and IP packets inside, over IPv6",
  families: [AF_INET6],
};
