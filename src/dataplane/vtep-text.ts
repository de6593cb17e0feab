/**
 * What an operator may write for the address of a VTEP, in the configuration and over the control socket alike. Addresses
 * leave as canonical text: IPv6 as RFC 5952 has it.
 */
import ipaddr from "ipaddr.js";
import { readHostName } from "./host-name.ts";

export type Ip = ipaddr.IPv4 | ipaddr.IPv6;

/** What is expected of a VTEP's address, for people. */
export const VTEP_ADDRESS = "a unicast IPv4 or IPv6 address";
/** What is expected of a remote VTEP, for people. */
export const REMOTE_VTEP: string = `${VTEP_ADDRESS} or a host name`;

/** Only the four-part decimal form of IPv4: `192.0.2` and `0300.0.2.1` mean different addresses to different programs. */
export const parseIp = (text: string): Ip | undefined => {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined;
};

export const canonicalIp = (ip: Ip): string => (ip instanceof ipaddr.IPv6 ? ip.toRFC5952String() : ip.toString());

export const hasZone = (ip: Ip): boolean => ip instanceof ipaddr.IPv6 && ip.zoneId !== undefined;

/** Why an address cannot be that of one interface; undefined when it can. */
export const unusable = (ip: Ip): string | undefined => {
  switch (ip.range()) {
    case "multicast":
      return "a multicast address";
    case "broadcast":
      return "the broadcast address";
    case "unspecified":
      return "the unspecified address";
    case "ipv4Mapped":
      return "an IPv4-mapped address: write it as IPv4";
    default:
      return undefined;
  }
};

export interface VtepText {
  /** Undefined when the text cannot be a VTEP's address; `hint` may say why. */
  readonly address?: string;
  readonly hint?: string | undefined;
}

/** Reads the address of one VTEP. */
export const readVtep = (text: string): VtepText => {
  const ip = parseIp(text);
  if (ip === undefined) return { hint: text.includes("/") ? "a VTEP address has no prefix length" : undefined };
  if (hasZone(ip)) return { hint: "an address with a zone: name the interface under `link` instead" };
  const hint = unusable(ip);
  if (hint === undefined) return { address: canonicalIp(ip) };
  return { hint: ip.range() === "multicast" ? `${hint}; the key \`group\` is for those` : hint };
};

/** As `readVtep`, and a host name is right too: `address` is the name then, in lower case. */
export const readRemote = (text: string): VtepText => {
  const name = parseIp(text) === undefined ? readHostName(text) : undefined;
  return name === undefined ? readVtep(text) : { address: name };
};

/** As `readRemote`, and a multicast group is right too. */
export const readRemoteOrGroup = (text: string): VtepText => {
  const ip = parseIp(text);
  return ip?.range() === "multicast" && !hasZone(ip) ? { address: canonicalIp(ip) } : readRemote(text);
};
