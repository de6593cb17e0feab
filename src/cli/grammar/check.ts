/** Checks of values, each complaining in iproute2's words. */
import { isIPv4, isIPv6 } from "node:net";
import { readHostName } from "../../dataplane/host-name.ts";
import { isInterfaceName } from "../../dataplane/interface-name.ts";
import { parseMac } from "../../wire/mac.ts";
import type { Check } from "./value.ts";

const wrong = (text: string, complaint: string): string => `argument "${text}" is wrong: ${complaint}`;

export const integer =
  (min: number, max: number, complaint: string): Check =>
  (text) =>
    /^\d+$/.test(text) && Number(text) >= min && Number(text) <= max ? undefined : wrong(text, complaint);

export const oneOf =
  (words: readonly string[], complaint: string): Check =>
  (text) =>
    words.includes(text) ? undefined : wrong(text, complaint);

export const isMac: Check = (text) => (parseMac(text) === undefined ? `Invalid mac address ${text}` : undefined);

/** 0 = no address. As isIP of node:net, which takes a new process 6 ms for whatever is not IPv4. */
export const ipVersion = (text: string): 0 | 4 | 6 => {
  if (isIPv4(text)) return 4;
  return text.includes(":") && isIPv6(text) ? 6 : 0;
};

export const isAddress: Check = (text) =>
  ipVersion(text) === 0 ? `any valid address is expected rather than "${text}".` : undefined;

/** An address or a host name. */
export const isRemote: Check = (text) => (readHostName(text) === undefined ? isAddress(text) : undefined);

const MAX_LENGTH = { 0: -1, 4: 32, 6: 128 } as const;

/** An address with the length of its network's prefix. */
export const isNetwork: Check = (text) => {
  const [address = "", length = "", ...more] = text.split("/");
  const isRight = /^\d{1,3}$/.test(length) && Number(length) <= MAX_LENGTH[ipVersion(address)];
  return isRight && more.length === 0 ? undefined : wrong(text, "ADDR/LENGTH is expected");
};

export const isName: Check = (text) => (isInterfaceName(text) ? undefined : wrong(text, "not a valid ifname"));

export const isSeconds: Check = integer(0, 0x7fffffff, "invalid number of seconds");

/** As strtoul() with base 0 reads it, without octal numbers. */
export const number =
  (min: number, max: number, complaint: string): Check =>
  (text) =>
    /^(0x[0-9a-f]+|0|[1-9]\d*)$/i.test(text) && Number(text) >= min && Number(text) <= max
      ? undefined
      : wrong(text, complaint);

export const orWord =
  (check: Check, words: readonly string[]): Check =>
  (text) =>
    words.includes(text) ? undefined : check(text);

export const isAnything: Check = (text) => (text === "" ? wrong(text, "it is empty") : undefined);
