/**
 * A VTEP's address as the data plane holds it: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291 section
 * 2.5.5.2), compared as four int32 words read in host order, exactly as the addon puts them into a frame descriptor.
 */
import ipaddr from "ipaddr.js";
import { AF_INET, AF_INET6 } from "../binding/abi.ts";

export interface VtepAddress {
  readonly text: string;
  readonly family: typeof AF_INET | typeof AF_INET6;
  /** 16 bytes, IPv4 mapped. */
  readonly mapped: Uint8Array;
  /** 4 or 16 bytes. */
  readonly bytes: Uint8Array;
}

/** @param text a valid IPv4 or IPv6 address without zone (the configuration layer has checked it). */
export const parseVtepAddress = (text: string): VtepAddress => {
  const address = ipaddr.process(text);
  const bytes = Uint8Array.from(address.toByteArray());
  if (address.kind() === "ipv6") return { text: address.toString(), family: AF_INET6, mapped: bytes, bytes };
  const mapped = new Uint8Array(16);
  mapped.set([0xff, 0xff, ...bytes], 10);
  return { text: address.toString(), family: AF_INET, mapped, bytes };
};

/** The four words of a mapped address, host order. */
export const addressWords = (mapped: Uint8Array): Int32Array => new Int32Array(mapped.slice().buffer);

const isIpv4Mapped = (mapped: Uint8Array): boolean => {
  for (let n = 0; n < 10; n++) if (mapped[n] !== 0) return false;
  return mapped[10] === 0xff && mapped[11] === 0xff;
};

/** Text of a mapped address. */
export const formatVtepAddress = (mapped: Uint8Array): string =>
  isIpv4Mapped(mapped)
    ? `${mapped[12]}.${mapped[13]}.${mapped[14]}.${mapped[15]}`
    : ipaddr.fromByteArray([...mapped]).toString();
