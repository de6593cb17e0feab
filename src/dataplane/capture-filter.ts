/**
 * A capture's filter as the workers run it: a row of tests in words, each of which says where to go on when it holds and
 * when it does not (as the kernel's packet filters). daemon/filter-expression.ts makes it from text. Allocates nothing.
 */
import {
  ABSENT,
  FIELD_DST,
  FIELD_DST_HI,
  FIELD_DST_LO,
  FIELD_DST_PORT,
  FIELD_ETHERTYPE,
  FIELD_HAS_ADDRESSES,
  FIELD_IP,
  FIELD_LENGTH,
  FIELD_PROTOCOL,
  FIELD_SRC,
  FIELD_SRC_HI,
  FIELD_SRC_LO,
  FIELD_SRC_PORT,
  FIELD_VLAN,
} from "./packet-fields.ts";

/** Words of a test: what it is, where to go on, and what it compares with. */
export const TEST_WORDS = 12;
export const TEST_KIND = 0;
export const TEST_WHEN_TRUE = 1;
export const TEST_WHEN_FALSE = 2;
export const TEST_VALUE = 3;
/** Of an address: four words as in packet-fields.ts behind TEST_VALUE, then four of mask. */
export const TEST_MASK = 7;
/** SIDE_* bits, where a test has sides. */
export const TEST_SIDES = 11;
export const SIDE_SOURCE = 1;
export const SIDE_DESTINATION = 2;

/** Instead of a test to go on with. */
export const ACCEPT: number = -1;
export const REJECT: number = -2;

// TEST_KIND. Where it says nothing else, TEST_VALUE is the value itself, and ABSENT means any.
/** 4 or 6. */
export const TEST_IP = 1;
export const TEST_ETHERTYPE = 2;
export const TEST_PROTOCOL = 3;
export const TEST_ADDRESS = 4;
/** The underlay's addresses. */
export const TEST_OUTER_ADDRESS = 5;
/** Two words: the least and the greatest. */
export const TEST_PORT = 6;
/** Two words, as in a frame descriptor. */
export const TEST_MAC = 7;
/** 1 = broadcast, 2 = broadcast or multicast. */
export const TEST_GROUP = 8;
export const TEST_VLAN = 9;
export const TEST_BD = 10;
export const TEST_DIRECTION = 11;
export const TEST_DROP = 12;
/** Two words: the least and the greatest. */
export const TEST_LENGTH = 13;

/** Towards the host, and away from it. */
export const INBOUND = 1;
export const OUTBOUND = 2;

/** What is known of a record beside the packet's own fields. */
export interface CaptureContext {
  direction: number;
  reason: number;
  bd: number;
  /** Whether `outer` has the underlay's addresses: source and destination, as in packet-fields.ts. */
  hasOuter: boolean;
  readonly outer: Int32Array;
}

/** Whether the filter lets the record pass; one without tests lets everything. @param fields of the inner packet */
export const passes = (program: Int32Array, fields: Int32Array, context: CaptureContext): boolean => {
  let next = program.length === 0 ? ACCEPT : 0;
  while (next >= 0) {
    const at = next * TEST_WORDS;
    next = holds(program, at, fields, context) ? program[at + TEST_WHEN_TRUE]! : program[at + TEST_WHEN_FALSE]!;
  }
  return next === ACCEPT;
};

const holds = (program: Int32Array, at: number, fields: Int32Array, context: CaptureContext): boolean => {
  const value = program[at + TEST_VALUE]!;
  switch (program[at + TEST_KIND]) {
    case TEST_IP:
      return fields[FIELD_IP] === value;
    case TEST_ETHERTYPE:
      return fields[FIELD_ETHERTYPE] === value;
    case TEST_PROTOCOL:
      return fields[FIELD_PROTOCOL] === value;
    case TEST_ADDRESS:
      return fields[FIELD_HAS_ADDRESSES] === 1 && hasAddress(program, at, fields, FIELD_SRC, FIELD_DST);
    case TEST_OUTER_ADDRESS:
      return context.hasOuter && hasAddress(program, at, context.outer, 0, 4);
    case TEST_PORT:
      return hasPort(program, at, fields);
    case TEST_MAC:
      return hasMac(program, at, fields);
    case TEST_GROUP:
      return isGroup(fields, value);
    case TEST_VLAN:
      return value === ABSENT ? fields[FIELD_VLAN] !== ABSENT : fields[FIELD_VLAN] === value;
    case TEST_BD:
      return context.bd === value;
    case TEST_DIRECTION:
      return context.direction === value;
    case TEST_DROP:
      return value === ABSENT ? context.reason !== 0 : context.reason === value;
    case TEST_LENGTH:
      return fields[FIELD_LENGTH]! >= value && fields[FIELD_LENGTH]! <= program[at + TEST_VALUE + 1]!;
    default:
      return false;
  }
};

const isSide = (program: Int32Array, at: number, side: number): boolean => (program[at + TEST_SIDES]! & side) !== 0;

const isIn = (program: Int32Array, at: number, words: Int32Array, first: number): boolean => {
  for (let i = 0; i < 4; i++) {
    if ((words[first + i]! & program[at + TEST_MASK + i]!) !== program[at + TEST_VALUE + i]!) return false;
  }
  return true;
};

const hasAddress = (program: Int32Array, at: number, words: Int32Array, source: number, destination: number): boolean =>
  (isSide(program, at, SIDE_SOURCE) && isIn(program, at, words, source)) ||
  (isSide(program, at, SIDE_DESTINATION) && isIn(program, at, words, destination));

const isBetween = (program: Int32Array, at: number, port: number): boolean =>
  port >= program[at + TEST_VALUE]! && port <= program[at + TEST_VALUE + 1]!;

const hasPort = (program: Int32Array, at: number, fields: Int32Array): boolean =>
  (isSide(program, at, SIDE_SOURCE) && isBetween(program, at, fields[FIELD_SRC_PORT]!)) ||
  (isSide(program, at, SIDE_DESTINATION) && isBetween(program, at, fields[FIELD_DST_PORT]!));

const hasMac = (program: Int32Array, at: number, fields: Int32Array): boolean => {
  const hi = program[at + TEST_VALUE];
  const lo = program[at + TEST_VALUE + 1];
  return (
    (isSide(program, at, SIDE_SOURCE) && fields[FIELD_SRC_HI] === hi && fields[FIELD_SRC_LO] === lo) ||
    (isSide(program, at, SIDE_DESTINATION) && fields[FIELD_DST_HI] === hi && fields[FIELD_DST_LO] === lo)
  );
};

/** A packet without Ethernet header has ABSENT in both words, which looks like the broadcast address but for FIELD_SRC_HI. */
const isGroup = (fields: Int32Array, value: number): boolean => {
  const hi = fields[FIELD_DST_HI]!;
  if (hi === ABSENT || (hi & 0x0100) === 0) return false;
  return value !== 1 || (hi === 0xffff && fields[FIELD_DST_LO] === -1);
};
