import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";

/** The problems, without where they are. */
const problemsOf = (tunnel: string): string[] => {
  try {
    parseConfig(`version: 1\ntunnels: { t: ${tunnel} }\n`, "vtepd.yaml");
  } catch (error) {
    return (error as Error).message.split("\n").map((line) => line.replace(/^\S+ tunnels\.t\.?/, ""));
  }
  return [];
};
const sixrd = (keys: string): string[] => problemsOf(`{ mode: 6rd, local: 10.2.3.1, ${keys} }`);

const room = (most: number, bits: number, got: string): string =>
  `prefix: expected an IPv6 network of 16 to ${most} bits, which leave ${bits} for IPv4, got ${got}`;

describe("6rd", () => {
  it.each([
    ['prefix: "2001::/16"', []],
    ['prefix: "2001:db8::/32"', []],
    ['prefix: "2000::/15"', [room(32, 32, "2000::/15")]],
    ['prefix: "2001:db8::/33"', [room(32, 32, "2001:db8::/33")]],
    ['prefix: "2001:db8::/40", relay-prefix: 10.0.0.0/8', []],
    ['prefix: "2001:db8::/41", relay-prefix: 10.0.0.0/8', [room(40, 24, "2001:db8::/41")]],
    ['prefix: "2001:db8::/41", relay-prefix: 10.0.0.0/9', []],
    ['prefix: "2001:db8::/32", relay-prefix: 0.0.0.0/0', []],
    ['prefix: "2001:db8::/33", relay-prefix: 0.0.0.0/0', [room(32, 32, "2001:db8::/33")]],
    ['prefix: "::/0"', [room(32, 32, "::/0")]],
    ['prefix: "2001:db8::/63", relay-prefix: 10.2.3.0/31', []],
    ['prefix: "2001:db8::/64", relay-prefix: 10.2.3.0/31', [room(63, 1, "2001:db8::/64")]],
    [
      'prefix: "2001:db8::/32", relay-prefix: 10.2.3.1/32',
      ["relay-prefix: expected an IPv4 network of less than 32 bits, got 10.2.3.1/32"],
    ],
    [
      'prefix: "2001:db8::/32", relay-prefix: "2001:db8::/32"',
      ["relay-prefix: expected an IPv4 network of less than 32 bits, got 2001:db8::/32"],
    ],
    ["prefix: 10.0.0.0/8", [room(32, 32, "10.0.0.0/8")]],
  ])("%s", (keys, problems) => {
    expect(sixrd(keys)).toEqual(problems);
  });

  it.each([
    ['prefix: "2001:db8::1/32"'],
    ['prefix: "2001:db8:0:8000::/48"'],
    ['prefix: "2001:db8::/32", relay-prefix: 10.2.3.0/8'],
    ['prefix: "2001:db8::/32", relay-prefix: 10.128.0.0/8'],
  ])("bits behind a prefix: %s", (keys) => {
    const problems = sixrd(keys);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain("prefix: expected a network with its prefix length");
  });

  it("needs `prefix`, and a `relay-prefix` that `local` is in", () => {
    expect(problemsOf("{ mode: 6rd, local: 10.2.3.1 }")[0]).toContain("prefix");
    expect(sixrd('prefix: "2001:db8::/32", relay-prefix: 192.168.0.0/16')).toEqual([
      "relay-prefix: expected a network that `local` is in, got 192.168.0.0/16, where 10.2.3.1 is not",
    ]);
  });

  it("is over IPv4", () => {
    expect(problemsOf('{ mode: 6rd, local: "fd00::1", prefix: "2001:db8::/32" }')).toHaveLength(1);
  });
});

describe("6to4 and isatap", () => {
  it.each([
    ["{ mode: 6to4, local: 198.51.100.1, remote: 192.88.99.1 }", []],
    ['{ mode: 6to4, local: 198.51.100.1, prefix: "2002::/16" }', ["prefix: unknown key"]],
    ["{ mode: 6to4, remote: 192.88.99.1 }", ["local: expected a unicast IPv4 or IPv6 address, got nothing"]],
    ['{ mode: 6to4, local: "fd00::1" }', ["local: expected an IPv4 address as mode 6to4 is over IPv4"]],
    ["{ mode: 6to4, local: 192.168.0.1 }", ["local: expected an address that is unique in the world"]],
    ["{ mode: 6to4, local: 169.254.0.1 }", ["local: expected an address that is unique in the world"]],
    ["{ mode: isatap, local: 192.168.0.1 }", []],
    ["{ mode: isatap, local: 10.0.0.1, potential-routers: [10.0.0.2, 10.0.0.3] }", []],
    ["{ mode: isatap, local: 10.0.0.1, remote: 10.0.0.2 }", ["remote: unknown key"]],
    [
      '{ mode: isatap, local: [10.0.0.1], potential-routers: ["fd00::1"] }',
      ["potential-routers[0]: expected an IPv4 address as mode isatap is over IPv4, got fd00::1"],
    ],
    ["{ mode: isatap, local: 10.0.0.1, potential-routers: [10.0.0.2, 10.0.0.2] }", ["potential-routers[1]: expected"]],
    ["{ mode: isatap, local: 10.0.0.1, potential-routers: [10.0.0.1] }", ["potential-routers[0]: expected a remote"]],
    ["{ mode: isatap, potential-routers: [10.0.0.2] }", ["local: expected"]],
  ])("%s", (tunnel, beginnings) => {
    const problems = problemsOf(tunnel);
    expect(problems.map((problem, n) => problem.slice(0, beginnings[n]?.length))).toEqual(beginnings);
  });
});
