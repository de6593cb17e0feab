/**
 * The filter of a capture, in the words of pcap-filter(7) as far as they are obvious, made into tests that workers run
 * (dataplane/capture-filter.ts). All of them are about the overlay's frame or packet, in an outer packet about the one inside;
 * `outer` in front asks for the underlay's addresses.
 *
 *   [outer] [src | dst] host ADDRESS      [outer] [src | dst] net PREFIX      [src | dst] ADDRESS
 *   [src | dst] port N                    [src | dst] portrange N-M           proto N
 *   ether [src | dst] host MAC            ether broadcast | multicast         ether proto N
 *   ip  ip6  arp  icmp  icmp6  tcp  udp   vlan [ID]                           vni N
 *   in  out (towards the host or away)    drop [REASON]                       less N  greater N
 *   and  or  not  ( )                     tcp port 80  =  tcp and port 80
 */
import ipaddr from "ipaddr.js";
import {
  ACCEPT,
  INBOUND,
  OUTBOUND,
  REJECT,
  SIDE_DESTINATION,
  SIDE_SOURCE,
  TEST_ADDRESS,
  TEST_BD,
  TEST_DIRECTION,
  TEST_DROP,
  TEST_ETHERTYPE,
  TEST_GROUP,
  TEST_IP,
  TEST_KIND,
  TEST_LENGTH,
  TEST_MAC,
  TEST_MASK,
  TEST_OUTER_ADDRESS,
  TEST_PORT,
  TEST_PROTOCOL,
  TEST_SIDES,
  TEST_VALUE,
  TEST_VLAN,
  TEST_WHEN_FALSE,
  TEST_WHEN_TRUE,
  TEST_WORDS,
} from "../dataplane/capture-filter.ts";
import { ABSENT } from "../dataplane/packet-fields.ts";
import { parseIp } from "../dataplane/vtep-text.ts";
import { DROP_REASONS } from "../drop-reason.ts";
import { VtepdError } from "../errors.ts";
import { parseMac, readMacHi, readMacLo } from "../wire/mac.ts";

const MAX_TESTS = 256;
const MAX_LENGTH = 0x7fffffff;
const BOTH_SIDES: number = SIDE_SOURCE | SIDE_DESTINATION;

type Node =
  | { readonly kind: "test"; readonly words: Int32Array }
  | { readonly kind: "not"; readonly of: Node }
  | { readonly kind: "and"; readonly left: Node; readonly right: Node }
  | { readonly kind: "or"; readonly left: Node; readonly right: Node };

/** Words that are a test by themselves. */
const SIMPLE: Readonly<Record<string, readonly [kind: number, value: number]>> = {
  ip: [TEST_IP, 4],
  ip6: [TEST_IP, 6],
  arp: [TEST_ETHERTYPE, 0x0806],
  icmp: [TEST_PROTOCOL, 1],
  icmp6: [TEST_PROTOCOL, 58],
  tcp: [TEST_PROTOCOL, 6],
  udp: [TEST_PROTOCOL, 17],
  in: [TEST_DIRECTION, INBOUND],
  inbound: [TEST_DIRECTION, INBOUND],
  out: [TEST_DIRECTION, OUTBOUND],
  outbound: [TEST_DIRECTION, OUTBOUND],
  broadcast: [TEST_GROUP, 1],
  multicast: [TEST_GROUP, 2],
};

/** Words that may stand behind such a one. */
const QUALIFIED: readonly string[] = ["src", "dst", "host", "net", "port", "portrange"];

const test = (kind: number, values: readonly number[] = [], sides = 0): Node => {
  const words = new Int32Array(TEST_WORDS);
  words[TEST_KIND] = kind;
  words.set(values, TEST_VALUE);
  words[TEST_SIDES] = sides;
  return { kind: "test", words };
};

/** Whether an expression needs the bridge domains of a VNI. */
export type DomainsOf = (vni: number) => readonly number[];

class Parser {
  private readonly words: readonly string[];
  private readonly domainsOf: DomainsOf;
  private position = 0;

  constructor(text: string, domainsOf: DomainsOf) {
    this.words = text.match(/\(|\)|!|&&|\|\||[^\s()!&|]+/g) ?? [];
    this.domainsOf = domainsOf;
  }

  parse(): Node | undefined {
    if (this.words.length === 0) return undefined;
    const node = this.anyOf();
    if (this.position < this.words.length) throw this.wrong("and, or or the end");
    return node;
  }

  private anyOf(): Node {
    let node = this.allOf();
    while (this.skip("or", "||")) node = { kind: "or", left: node, right: this.allOf() };
    return node;
  }

  private allOf(): Node {
    let node = this.one();
    while (this.skip("and", "&&")) node = { kind: "and", left: node, right: this.one() };
    return node;
  }

  private one(): Node {
    if (this.skip("not", "!")) return { kind: "not", of: this.one() };
    if (!this.skip("(")) return this.primitive();
    const node = this.anyOf();
    if (!this.skip(")")) throw this.wrong(")");
    return node;
  }

  private primitive(): Node {
    const simple = SIMPLE[this.peek() ?? ""];
    if (simple !== undefined) {
      this.position++;
      const node = test(simple[0], [simple[1]]);
      // `tcp port 80` is both.
      return QUALIFIED.includes(this.peek() ?? "") ? { kind: "and", left: node, right: this.primitive() } : node;
    }
    if (this.skip("outer")) return this.address(TEST_OUTER_ADDRESS, this.sides());
    if (this.skip("ether")) return this.ether();
    if (this.skip("vlan")) return this.vlan();
    if (this.skip("vni")) return this.vni();
    if (this.skip("drop")) return this.drop();
    if (this.skip("proto")) return test(TEST_PROTOCOL, [this.number(255, "a protocol number")]);
    if (this.skip("less")) return test(TEST_LENGTH, [0, this.number(MAX_LENGTH, "a number of bytes")]);
    if (this.skip("greater")) return test(TEST_LENGTH, [this.number(MAX_LENGTH, "a number of bytes"), MAX_LENGTH]);
    const sides = this.sides();
    if (this.skip("port")) {
      const port = this.number(0xffff, "a port");
      return test(TEST_PORT, [port, port], sides);
    }
    if (this.skip("portrange")) return this.portRange(sides);
    return this.address(TEST_ADDRESS, sides);
  }

  private sides(): number {
    if (this.skip("src")) return SIDE_SOURCE;
    return this.skip("dst") ? SIDE_DESTINATION : BOTH_SIDES;
  }

  /** `host` may be left out behind `src` and `dst`, and before an address. */
  private address(kind: number, sides: number): Node {
    const isNet = this.skip("net");
    if (!isNet) this.skip("host");
    const text = this.peek() ?? "";
    const [base, prefix] = isNet ? text.split("/") : [text];
    const ip = parseIp(base!);
    if (ip === undefined) throw this.wrong(isNet ? "a network such as 192.0.2.0/24" : this.expected());
    const bits = ip.kind() === "ipv4" ? 32 : 128;
    const length = prefix === undefined ? bits : Number(prefix);
    if (!/^\d*$/.test(prefix ?? "") || prefix === "" || length > bits)
      throw this.wrong(`a prefix of 0 to ${bits} bits`);
    this.position++;
    return test(kind, addressAndMask(ip, 128 - bits + length), sides);
  }

  private expected(): string {
    const first = Object.keys(SIMPLE).join(", ");
    return `an address, ${first}, host, net, port, portrange, src, dst, outer, ether, vlan, vni, proto, drop, less, greater`;
  }

  private ether(): Node {
    if (this.skip("broadcast")) return test(TEST_GROUP, [1]);
    if (this.skip("multicast")) return test(TEST_GROUP, [2]);
    if (this.skip("proto")) return test(TEST_ETHERTYPE, [this.number(0xffff, "an ethertype")]);
    const sides = this.sides();
    this.skip("host");
    const mac = parseMac(this.peek() ?? "");
    if (mac === undefined) throw this.wrong("a MAC address");
    this.position++;
    return test(TEST_MAC, [readMacHi(mac, 0), readMacLo(mac, 0)], sides);
  }

  private vlan(): Node {
    return test(TEST_VLAN, [/^\d/.test(this.peek() ?? "") ? this.number(4095, "a VLAN") : ABSENT]);
  }

  /** Those that have the VNI now. */
  private vni(): Node {
    const tests = this.domainsOf(this.number(0xffffff, "a VNI")).map((bd) => test(TEST_BD, [bd]));
    // No bridge domain has a negative number.
    return tests.reduce((left, right) => ({ kind: "or", left, right }), test(TEST_BD, [ABSENT]));
  }

  private drop(): Node {
    const word = this.peek();
    if (word === undefined || [")", "and", "or", "&&", "||"].includes(word)) return test(TEST_DROP, [ABSENT]);
    const reason = DROP_REASONS.findIndex(({ name }) => name === word.toLowerCase());
    if (reason <= 0) throw this.wrong("a drop reason such as unknown_vtep");
    this.position++;
    return test(TEST_DROP, [reason]);
  }

  private portRange(sides: number): Node {
    const [, first, last] = /^(\d{1,5})-(\d{1,5})$/.exec(this.peek() ?? "") ?? [];
    if (first === undefined || Number(first) > Number(last) || Number(last) > 0xffff)
      throw this.wrong("ports as 1000-2000");
    this.position++;
    return test(TEST_PORT, [Number(first), Number(last)], sides);
  }

  private number(max: number, what: string): number {
    const text = this.peek() ?? "";
    const value = /^(\d{1,10}|0x[\da-f]{1,8})$/i.test(text) ? Number(text) : max + 1;
    if (value > max) throw this.wrong(`${what}, 0 to ${max}`);
    this.position++;
    return value;
  }

  private peek(): string | undefined {
    return this.words[this.position];
  }

  private skip(...anyOf: readonly string[]): boolean {
    if (!anyOf.includes(this.peek() ?? "")) return false;
    this.position++;
    return true;
  }

  private wrong(expected: string): VtepdError {
    const word = this.peek();
    const got = word === undefined ? "the end" : `"${word}"`;
    const place = this.position === 0 ? "" : ` behind "${this.words.slice(0, this.position).join(" ")}"`;
    return refusal(`expected ${expected}${place}, got ${got}`);
  }
}

const refusal = (message: string): VtepdError =>
  new VtepdError("ERR_CONFIG_VALUE", `filter: ${message}`, { path: "filter" });

/** TEST_VALUE and TEST_MASK. @param length bits of the mapped address */
const addressAndMask = (ip: ipaddr.IPv4 | ipaddr.IPv6, length: number): number[] => {
  const mapped = (ip instanceof ipaddr.IPv4 ? ip.toIPv4MappedAddress() : ip).toByteArray();
  const words: number[] = Array.from({ length: TEST_MASK - TEST_VALUE + 4 }, () => 0);
  for (let i = 0; i < 4; i++) {
    const bits = Math.min(Math.max(length - 32 * i, 0), 32);
    const mask = bits === 0 ? 0 : -1 << (32 - bits);
    const [a, b, c, d] = mapped.slice(4 * i, 4 * i + 4) as [number, number, number, number];
    words[i] = ((a << 24) | (b << 16) | (c << 8) | d) & mask;
    words[TEST_MASK - TEST_VALUE + i] = mask;
  }
  return words;
};

/** Appends the node's tests and returns the index of the first to be made. */
const emit = (node: Node, whenTrue: number, whenFalse: number, tests: Int32Array[]): number => {
  if (node.kind === "not") return emit(node.of, whenFalse, whenTrue, tests);
  if (node.kind === "and") return emit(node.left, emit(node.right, whenTrue, whenFalse, tests), whenFalse, tests);
  if (node.kind === "or") return emit(node.left, whenTrue, emit(node.right, whenTrue, whenFalse, tests), tests);
  node.words[TEST_WHEN_TRUE] = whenTrue;
  node.words[TEST_WHEN_FALSE] = whenFalse;
  return tests.push(node.words) - 1;
};

/** The program of an expression; an empty one lets everything pass. @throws ERR_CONFIG_VALUE, path `filter` */
export const compileFilter = (text: string, domainsOf: DomainsOf): Int32Array => {
  const node = new Parser(text, domainsOf).parse();
  if (node === undefined) return new Int32Array(0);
  const tests: Int32Array[] = [];
  emit(node, ACCEPT, REJECT, tests);
  if (tests.length > MAX_TESTS) throw refusal(`expected at most ${MAX_TESTS} tests, got ${tests.length}`);
  // The first to be made was appended last.
  const program = new Int32Array(tests.length * TEST_WORDS);
  const place = (index: number): number => (index < 0 ? index : tests.length - 1 - index);
  for (const [index, words] of tests.entries()) {
    words[TEST_WHEN_TRUE] = place(words[TEST_WHEN_TRUE]!);
    words[TEST_WHEN_FALSE] = place(words[TEST_WHEN_FALSE]!);
    program.set(words, place(index) * TEST_WORDS);
  }
  return program;
};
