/** Networks: what an address with a prefix length is in. */
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { canonicalIp, hasZone, parseIp } from "../dataplane/vtep-text.ts";

const NETWORK = "a network with its prefix length, such as 10.2.0.0/16 or fd00:2::/64";

type Ip = ipaddr.IPv4 | ipaddr.IPv6;

const networkAddress = (text: string): Ip =>
  text.includes(":") ? ipaddr.IPv6.networkAddressFromCIDR(text) : ipaddr.IPv4.networkAddressFromCIDR(text);

/** The network that an interface with this address is in, canonical. @param address canonical `address/prefix` */
export const networkOf = (address: string): string =>
  `${canonicalIp(networkAddress(address))}/${address.slice(address.indexOf("/") + 1)}`;

/**
 * What stands for a network that is not one; `undefined` = no more to say.
 * @param whole hint for /0, where that is none
 */
const readNetwork = (text: string, whole: string | undefined): { network: string } | { hint: string | undefined } => {
  const [address = "", prefix, ...more] = text.split("/");
  const ip = parseIp(address);
  if (ip === undefined || more.length > 0 || hasZone(ip)) return { hint: undefined };
  const bits = ip.kind() === "ipv4" ? 32 : 128;
  if (prefix === undefined) return { hint: `the prefix length is missing; a single address has /${bits}` };
  if (!/^(0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > bits) return { hint: `a prefix length is 0 to ${bits}` };
  if (prefix === "0" && whole !== undefined) return { hint: whole };
  const given = `${canonicalIp(ip)}/${prefix}`;
  const network = networkOf(given);
  return network === given ? { network } : { hint: `the network is ${network}` };
};

/** Bits behind the prefix are 0. @param whole what to say of a prefix length of 0; without it that is a network, too */
export const network = (whole?: string): z.ZodType<string, string> =>
  z
    .string({ error: NETWORK })
    .transform((text, context) => {
      const read = readNetwork(text, whole);
      if ("network" in read) return read.network;
      context.addIssue({ code: "custom", message: NETWORK, params: { hint: read.hint } });
      return z.NEVER;
    })
    .meta({ title: "network/prefix" });
