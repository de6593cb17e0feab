import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { parseConfig } from "../../src/config/load.ts";
import { VtepdError } from "../../src/errors.ts";

const FILE = "any.yaml";
/** What zod says when nobody told it what was expected, and what JavaScript says of nothing. */
const UNEXPLAINED = /Invalid|Too (big|small)|received|undefined|\[object/;
const LINE = /^any\.yaml:[1-9]\d*:[1-9]\d*: .*(expected|unknown key)/;

/** Good text ends in a configuration, any other in a VtepdError about it. */
const check = (text: string): void => {
  try {
    parseConfig(text, FILE);
  } catch (error) {
    expect(error).toBeInstanceOf(VtepdError);
    const { code, message } = error as VtepdError;
    expect(code).toMatch(/^ERR_CONFIG_(SYNTAX|KEY|VALUE|CONFLICT)$/);
    for (const line of message.split("\n")) {
      expect(line).toMatch(LINE);
    }
  }
};

const scalar = fc.oneof(
  fc.constantFrom(
    "192.0.2.1",
    "192.0.2.2",
    "2001:db8::1",
    "239.1.1.1",
    "fe80::1",
    "::",
    "10.0.0.1/24",
    "02:00:00:00:00:01",
  ),
  fc.constantFrom(
    "00:00:00:00:00:00",
    "auto",
    "none",
    "5m",
    "vxlan",
    "gre",
    "eth0",
    "/run/x",
    "",
    "127.0.0.1:80",
    "[::1]:80",
  ),
  fc.constantFrom(true, false, null, 0, 1, 42, -1, 1.5, 65_536, 16_777_216, Number.NaN, Number.POSITIVE_INFINITY),
);
const value = fc.oneof(
  { weight: 4, arbitrary: scalar },
  { weight: 2, arbitrary: fc.array(scalar, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.dictionary(fc.constantFrom("mac", "dst", "port", "vni", "a"), scalar, { maxKeys: 4 }) },
);
const mapOf = (...keys: string[]) => fc.dictionary(fc.constantFrom(...keys, "zork"), value, { maxKeys: 6 });
const entries = fc.array(mapOf("mac", "dst", "port", "vni"), { maxLength: 3 });
const tunnel = fc
  .tuple(
    mapOf(
      "local",
      "remote",
      "flood",
      "port",
      "mac-learning",
      "ageing",
      "aging",
      "limit",
      "mtu",
      "macaddress",
      "netns",
      "link",
    ),
    mapOf("mode", "id", "queues", "addresses"),
    fc.option(entries),
  )
  .map(([one, other, fdb]) => ({ mode: "vxlan", id: 7, ...one, ...other, ...(fdb === null ? {} : { fdb }) }));
const section = fc.oneof(value, mapOf("socket", "group", "listen", "level"));
const file = fc.record(
  {
    version: fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: scalar }),
    daemon: fc.oneof(
      value,
      fc.dictionary(fc.constantFrom("control", "metrics", "log", "workers", "fdb-capacity", "zork"), section),
    ),
    tunnels: fc.oneof(
      {
        weight: 5,
        arbitrary: fc.dictionary(fc.constantFrom("vx1", "vx2", "vx3", "a/b", "42"), fc.oneof(tunnel, tunnel, value)),
      },
      { weight: 1, arbitrary: value },
    ),
  },
  { requiredKeys: [] },
);

const GOOD = `version: 1
daemon: { metrics: { listen: "[::1]:80" }, workers: auto }
tunnels:
  vx1: &one
    mode: vxlan
    id: 0x10
    local: 192.0.2.1
    flood: [192.0.2.2, 192.0.2.3]
    fdb: [{ mac: 02:00:00:00:00:01, dst: 192.0.2.2 }]
  vx2:
    <<: *one
    id: 2
    ageing: 5m
`;

describe("parseConfig", () => {
  it("throws nothing but a VtepdError on any text", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), check), { numRuns: 1000 });
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."a1:-?[]{}&*!|>'\"%@`#,<~\n \t"), maxLength: 60 }), check),
      {
        numRuns: 1500,
      },
    );
  });

  it("throws nothing but a VtepdError on good text with a few characters changed", () => {
    const change = fc.tuple(fc.nat(GOOD.length), fc.nat(4), fc.string({ unit: "grapheme-ascii", maxLength: 3 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        check(changes.reduce((text, [at, gone, put]) => text.slice(0, at) + put + text.slice(at + gone), GOOD));
      }),
      { numRuns: 1000 },
    );
  });

  it("explains every wrong value in words of its own", () => {
    fc.assert(
      fc.property(file, (content) => {
        const text = stringify(content);
        check(text);
        try {
          parseConfig(text, FILE);
        } catch (error) {
          expect((error as Error).message).not.toMatch(UNEXPLAINED);
        }
      }),
      { numRuns: 1500 },
    );
  });

  it("reads its own addresses as what they are", () => {
    const localOf = (address: string): string | undefined =>
      parseConfig(`version: 1\ntunnels: { a: { mode: vxlan, id: 1, link: eth0, local: "${address}" } }\n`, FILE)
        .tunnels[0]?.locals[0];
    const unicast = fc.oneof(
      fc.ipV6().filter((address) => !/^(::|0{1,4}:|ff)/i.test(address)),
      fc.ipV4().filter((address) => !/^(0|22[4-9]|23\d|255)\./.test(address)),
    );
    fc.assert(
      fc.property(unicast, (address) => {
        const canonical = localOf(address);
        expect(canonical).toMatch(/^[0-9a-f:.]+$/);
        expect(localOf(canonical!)).toBe(canonical);
      }),
      { numRuns: 1000 },
    );
  });
});
