/**
 * What tunnel header the datagrams of a binding have (a UDP port's or an IP protocol's). The main thread writes a row before
 * workers are given the binding's port; workers only read.
 */
import { INVALID_HDR } from "../drop-reason.ts";
import type { VniRule } from "../wire/vni-header.ts";

/** Bindings are numbered 0..MAX_BINDINGS-1. */
export const MAX_BINDINGS = 254;

export const BINDING_WORDS = 8;
/** FORMAT_* */
export const BINDING_FORMAT = 0;
/** FORMAT_VNI: its rule. */
export const BINDING_MASK = 1;
export const BINDING_VALUE = 2;
export const BINDING_REASON = 3;
export const BINDING_RESERVED0 = 4;
export const BINDING_RESERVED1 = 5;
/** The others: 1 = there is a GUE header in front. */
export const BINDING_IS_IN_GUE = 6;

/** A header with a VNI, which alone says which tunnel (wire/vni-header.ts). */
export const FORMAT_VNI = 0;
/** GRE: key and outer source say which tunnel. */
export const FORMAT_GRE = 1;
/** No header between outer and inner IP: the outer source alone says which tunnel. */
export const FORMAT_IP = 2;

/** ESP: the association by which the addon opened the packet says which tunnel. */
export const FORMAT_ESP = 3;

export type HeaderFormat =
  | { readonly kind: "vni"; readonly rule: VniRule }
  | { readonly kind: "gre" | "ip"; readonly isInGue?: boolean }
  | { readonly kind: "esp" };

export class BindingTable {
  readonly words: Int32Array;

  constructor(words: Int32Array = new Int32Array(new SharedArrayBuffer(MAX_BINDINGS * BINDING_WORDS * 4))) {
    this.words = words;
  }

  /** Main thread. */
  set(binding: number, format: HeaderFormat): void {
    const { words } = this;
    const row = binding * BINDING_WORDS;
    words[row + BINDING_FORMAT] = { vni: FORMAT_VNI, gre: FORMAT_GRE, ip: FORMAT_IP, esp: FORMAT_ESP }[format.kind];
    words[row + BINDING_REASON] = INVALID_HDR;
    words[row + BINDING_IS_IN_GUE] = "isInGue" in format && format.isInGue === true ? 1 : 0;
    if (format.kind !== "vni") return;
    const { mask, value, reason, reserved0, reserved1 } = format.rule;
    words.set([mask, value, reason, reserved0, reserved1], row + BINDING_MASK);
  }
}
