import { describe, expect, it } from "vitest";
import { INNER_DF, OUTER_DF, OUTER_FLOW_LABEL, OUTER_TOS, OUTER_TTL } from "../../src/binding/abi.ts";
import { outerFields, outerPolicy } from "../../src/dataplane/outer-header.ts";

/** FRAME_INNER_IP of an IPv4 packet with DF. */
const inner = (tos: number, ttl: number): number => tos | (ttl << 8) | (14 << 16) | INNER_DF;
const NO_IP = 0;
const tos = (value: number): number => OUTER_TOS | value;
const ttl = (value: number): number => OUTER_TTL | (value << 8);

describe("the outer header", () => {
  it.each([
    ["nothing asked for", outerPolicy(0, undefined, "unset"), inner(0xb8, 17), 0],
    ["nothing asked for, inner ECT(0): only that", outerPolicy(0, undefined, "unset"), inner(0xba, 17), tos(2)],
    ["nothing asked for, inner CE: RFC 6040 copies it", outerPolicy(0, undefined, "unset"), inner(3, 17), tos(3)],
    ["fixed TOS without its ECN bits", outerPolicy(0x2f, undefined, "unset"), inner(0xb8, 17), tos(0x2c)],
    ["fixed TOS, inner ECT(1)", outerPolicy(0x2c, undefined, "unset"), inner(0xb9, 17), tos(0x2d)],
    ["inherited TOS", outerPolicy("inherit", undefined, "unset"), inner(0xba, 17), tos(0xba)],
    ["inherited TOS of 0", outerPolicy("inherit", undefined, "unset"), inner(0, 17), 0],
    ["inherited TOS, not IP", outerPolicy("inherit", undefined, "unset"), NO_IP, 0],
    ["fixed TTL", outerPolicy(0, 255, "unset"), inner(0, 17), ttl(255)],
    ["fixed TTL, not IP", outerPolicy(0, 9, "unset"), NO_IP, ttl(9)],
    ["inherited TTL", outerPolicy(0, "inherit", "unset"), inner(0, 17), ttl(17)],
    ["inherited TTL, not IP: the host's default", outerPolicy(0, "inherit", "unset"), NO_IP, 0],
    ["DF", outerPolicy(0, undefined, "set"), NO_IP, OUTER_DF],
    ["inherited DF", outerPolicy(0, undefined, "inherit"), inner(0, 17), OUTER_DF],
    ["inherited DF, inner packet without", outerPolicy(0, undefined, "inherit"), inner(0, 17) & ~INNER_DF, 0],
    [
      "an inherited flow label, which the addon reads",
      outerPolicy(0, 9, "unset", OUTER_FLOW_LABEL),
      inner(0, 17),
      ttl(9) | OUTER_FLOW_LABEL,
    ],
    ["both", outerPolicy("inherit", 12, "unset"), inner(0x10, 17), tos(0x10) | ttl(12)],
  ])("%s", (_what, policy, packet, expected) => {
    expect(outerFields(policy, packet)).toBe(expected);
  });
});
