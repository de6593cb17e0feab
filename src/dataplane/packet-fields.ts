/**
 * The fields of a packet that a capture's filter asks for, read from its first bytes: MACs, VLAN, IP addresses (those of ARP
 * too), protocol, ports. Allocates nothing. What is not there is ABSENT.
 */
import { isTagType, TAG_BYTES } from "../wire/vlan.ts";

export const ABSENT: number = -1;

export const FIELD_LENGTH = 0;
export const FIELD_ETHERTYPE = 1;
/** Of the outermost tag. */
export const FIELD_VLAN = 2;
/** MACs as in a frame descriptor. */
export const FIELD_DST_HI = 3;
export const FIELD_DST_LO = 4;
export const FIELD_SRC_HI = 5;
export const FIELD_SRC_LO = 6;
/** 4, 6, or ABSENT. */
export const FIELD_IP = 7;
/** 1 when there are addresses. */
export const FIELD_HAS_ADDRESSES = 8;
export const FIELD_PROTOCOL = 9;
export const FIELD_SRC_PORT = 10;
export const FIELD_DST_PORT = 11;
/** Four words each, the first byte the highest; IPv4 as ::ffff:a.b.c.d. */
export const FIELD_SRC = 12;
export const FIELD_DST = 16;
const FIELD_WORDS = 20;

const ETHERNET_HEADER_BYTES = 14;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const ARP = 0x0806;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const ARP_BYTES = 28;
const MAX_EXTENSIONS = 8;
const FRAGMENT_HEADER = 44;

const isExtension = (protocol: number): boolean =>
  protocol === 0 || protocol === 43 || protocol === FRAGMENT_HEADER || protocol === 60;

const hasPorts = (protocol: number): boolean =>
  protocol === 6 || protocol === 17 || protocol === 132 || protocol === 136 || protocol === 33;

export class PacketFields {
  readonly words: Int32Array = new Int32Array(FIELD_WORDS);
  private bytes: Uint8Array = new Uint8Array(0);
  private end = 0;

  /** Nothing is known of the packet but its length. */
  clear(length: number): void {
    const { words } = this;
    words.fill(ABSENT);
    words[FIELD_HAS_ADDRESSES] = 0;
    words[FIELD_LENGTH] = length;
  }

  /**
   * @param available bytes at `offset` that are there, of `length` that the packet has
   * @param isPacket it begins with an IP header
   */
  read(bytes: Uint8Array, offset: number, available: number, length: number, isPacket: boolean): void {
    const { words } = this;
    this.clear(length);
    this.bytes = bytes;
    this.end = offset + Math.min(available, length);
    if (isPacket) {
      this.readIp(offset, offset < this.end && bytes[offset]! >>> 4 === 6 ? IPV6 : IPV4);
      return;
    }
    if (offset + ETHERNET_HEADER_BYTES > this.end) return;
    words[FIELD_DST_HI] = this.half(offset);
    words[FIELD_DST_LO] = this.word(offset + 2);
    words[FIELD_SRC_HI] = this.half(offset + 6);
    words[FIELD_SRC_LO] = this.word(offset + 8);
    let at = offset + 12;
    while (at + TAG_BYTES + 2 <= this.end && isTagType(bytes, at)) {
      if (words[FIELD_VLAN] === ABSENT) words[FIELD_VLAN] = this.half(at + 2) & 0xfff;
      at += TAG_BYTES;
    }
    const type = this.half(at);
    words[FIELD_ETHERTYPE] = type;
    if (type === ARP) this.readArp(at + 2);
    else if (type === IPV4 || type === IPV6) this.readIp(at + 2, type);
  }

  private readArp(at: number): void {
    if (at + ARP_BYTES > this.end) return;
    this.setIpv4(FIELD_SRC, at + 14);
    this.setIpv4(FIELD_DST, at + 24);
    this.words[FIELD_HAS_ADDRESSES] = 1;
  }

  private readIp(at: number, type: number): void {
    const { words, bytes } = this;
    const isIpv6 = type === IPV6;
    if (at + (isIpv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES) > this.end) return;
    words[FIELD_ETHERTYPE] = type;
    words[FIELD_IP] = isIpv6 ? 6 : 4;
    words[FIELD_HAS_ADDRESSES] = 1;
    if (isIpv6) {
      for (let i = 0; i < 4; i++) {
        words[FIELD_SRC + i] = this.word(at + 8 + 4 * i);
        words[FIELD_DST + i] = this.word(at + 24 + 4 * i);
      }
      this.readIpv6Payload(at + IPV6_HEADER_BYTES, bytes[at + 6]!);
      return;
    }
    this.setIpv4(FIELD_SRC, at + 12);
    this.setIpv4(FIELD_DST, at + 16);
    const isFirst = (this.half(at + 6) & 0x1fff) === 0;
    this.readPayload(at + (bytes[at]! & 15) * 4, bytes[at + 9]!, isFirst);
  }

  private readIpv6Payload(start: number, next: number): void {
    let at = start;
    let protocol = next;
    let isFirst = true;
    for (let n = 0; n < MAX_EXTENSIONS && isExtension(protocol) && at + 8 <= this.end; n++) {
      const isFragment = protocol === FRAGMENT_HEADER;
      if (isFragment && this.half(at + 2) >>> 3 !== 0) isFirst = false;
      protocol = this.bytes[at]!;
      at += isFragment ? 8 : 8 + this.bytes[at + 1]! * 8;
    }
    this.readPayload(at, protocol, isFirst);
  }

  private readPayload(at: number, protocol: number, isFirst: boolean): void {
    const { words } = this;
    words[FIELD_PROTOCOL] = protocol;
    if (!isFirst || !hasPorts(protocol) || at + 4 > this.end) return;
    words[FIELD_SRC_PORT] = this.half(at);
    words[FIELD_DST_PORT] = this.half(at + 2);
  }

  private setIpv4(field: number, at: number): void {
    const { words } = this;
    words[field] = 0;
    words[field + 1] = 0;
    words[field + 2] = 0xffff;
    words[field + 3] = this.word(at);
  }

  private half(at: number): number {
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!;
  }

  private word(at: number): number {
    return (this.half(at) << 16) | this.half(at + 2);
  }
}
