/** The kinds of address that keys can have. Addresses leave as canonical text: IPv6 as RFC 5952 has it, MACs in lower case. */
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { isHostName } from "../dataplane/host-name.ts";
import {
  canonicalIp,
  hasZone,
  parseIp,
  REMOTE_VTEP,
  readRemote,
  readVtep,
  unusable,
  VTEP_ADDRESS,
  type VtepText,
} from "../dataplane/vtep-text.ts";
import { FDB_MAC, fdbMacHint, STATION_MAC, stationMacHint } from "../wire/mac.ts";

const vtep = (expected: string, read: (text: string) => VtepText): z.ZodType<string, string> =>
  z.string({ error: expected }).transform((text, context) => {
    const { address, hint } = read(text);
    if (address !== undefined) return address;
    context.addIssue({ code: "custom", message: expected, params: { hint } });
    return z.NEVER;
  });

const IP_FORMATS = [{ format: "ipv4" }, { format: "ipv6" }];

/** The underlay address of one VTEP. */
export const vtepAddress = (): z.ZodType<string, string> =>
  vtep(VTEP_ADDRESS, readVtep).meta({ title: "IP address", anyOf: IP_FORMATS });

/** That of a remote VTEP, which may have a name instead. */
export const remoteVtep = (): z.ZodType<string, string> =>
  vtep(REMOTE_VTEP, readRemote).meta({
    title: "IP address or host name",
    anyOf: [...IP_FORMATS, { format: "hostname" }],
  });

const GROUP_ADDRESS = "a multicast IPv4 or IPv6 address such as 239.1.1.1 or ff05::42";

/** The underlay address of a multicast group. */
export const groupAddress = (): z.ZodType<string, string> =>
  z
    .string({ error: GROUP_ADDRESS })
    .transform((text, context) => {
      const ip = parseIp(text);
      if (ip?.range() === "multicast" && !hasZone(ip)) return canonicalIp(ip);
      const hint = ip === undefined ? undefined : "a unicast address; the key `remote` is for those";
      context.addIssue({ code: "custom", message: GROUP_ADDRESS, params: { hint } });
      return z.NEVER;
    })
    .meta({ title: "multicast address", anyOf: [{ format: "ipv4" }, { format: "ipv6" }] });

const INTERFACE_ADDRESS = "an address with its prefix length, such as 10.42.0.1/24 or fd00:42::1/64";

/** Address and prefix length of an overlay interface. The host bits are kept. */
export const interfaceAddress = (): z.ZodType<string, string> =>
  z
    .string({ error: INTERFACE_ADDRESS })
    .transform((text, context) => {
      const refuse = (hint?: string): never => {
        context.addIssue({ code: "custom", message: INTERFACE_ADDRESS, params: { hint } });
        return z.NEVER;
      };
      const [address = "", prefix, ...more] = text.split("/");
      const ip = parseIp(address);
      if (ip === undefined || more.length > 0 || hasZone(ip)) {
        return refuse();
      }
      const bits = ip.kind() === "ipv4" ? 32 : 128;
      if (prefix === undefined) {
        return refuse(`the prefix length is missing; a single address has /${bits}`);
      }
      if (!/^(0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > bits) {
        return refuse(`a prefix length is 0 to ${bits}`);
      }
      const hint = unusable(ip);
      return hint === undefined ? `${canonicalIp(ip)}/${prefix}` : refuse(hint);
    })
    .meta({ title: "address/prefix" });

/** As parseMac takes it; a pattern, because the JSON schema shows it. */
const MAC = /^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/;

const mac = (expected: string, hintOf: (text: string) => string | undefined): z.ZodType<string, string> =>
  z
    .string({ error: expected })
    .regex(MAC, { error: expected, abort: true })
    .transform((text, context) => {
      const hint = hintOf(text);
      if (hint === undefined) return text.toLowerCase();
      context.addIssue({ code: "custom", message: expected, params: { hint } });
      return z.NEVER;
    })
    .meta({ title: "MAC address" });

/** A MAC that an interface may have. */
export const unicastMac = (): z.ZodType<string, string> => mac(STATION_MAC, stationMacHint);

/** A MAC that an FDB entry may have; all zeros stands for a flood-list member, as in `bridge fdb`. */
export const fdbMac = (): z.ZodType<string, string> => mac(FDB_MAC, fdbMacHint);

/** Where to listen for TCP. An IPv6 host is without its brackets. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const LISTEN = "host:port or [IPv6 address]:port, such as 127.0.0.1:19784";
const listenHost = (bracketed: string | undefined, bare: string): string | undefined => {
  if (bracketed !== undefined) {
    return ipaddr.IPv6.isValid(bracketed) ? ipaddr.IPv6.parse(bracketed).toRFC5952String() : undefined;
  }
  if (ipaddr.IPv4.isValidFourPartDecimal(bare)) {
    return ipaddr.IPv4.parse(bare).toString();
  }
  return isHostName(bare) ? bare : undefined;
};

export const listenAddress = (): z.ZodType<ListenAddress, string> =>
  z
    .string({ error: LISTEN })
    .transform((text, context) => {
      const [, bracketed, bare = "", digits = ""] = /^(?:\[([^\]]*)\]|([^:[\]]*)):([1-9][0-9]{0,4})$/.exec(text) ?? [];
      const host = listenHost(bracketed, bare);
      const port = Number(digits);
      if (host === undefined || port < 1 || port > 65_535) {
        context.addIssue({ code: "custom", message: LISTEN });
        return z.NEVER;
      }
      return { host, port };
    })
    .meta({ title: "`host:port`" });

const NAME_SERVER = "the address of a name server, with or without a port, such as 192.0.2.53 or [2001:db8::53]:5353";
const DNS_PORT = "53";

/** In the form that node:dns takes, with its port. */
const readNameServer = (text: string): string | undefined => {
  const match = /^\[(.*)\](?::(\d+))?$/.exec(text) ?? /^([^:]*)(?::(\d+))?$/.exec(text);
  const { address } = readVtep(match?.[1] ?? text);
  const port = match?.[2] ?? DNS_PORT;
  if (address === undefined || !/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65_535) return undefined;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
};

export const nameServer = (): z.ZodType<string, string> =>
  z
    .string({ error: NAME_SERVER })
    .transform((text, context) => {
      const server = readNameServer(text);
      if (server !== undefined) return server;
      context.addIssue({ code: "custom", message: NAME_SERVER });
      return z.NEVER;
    })
    .meta({ title: "`address` or `address:port`" });
