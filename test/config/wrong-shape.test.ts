import { describe, expect, it } from "vitest";
import { MODES } from "../../src/tunnel/modes.ts";
import { daemonWith, mistakesOf, NAME, QUOTE, tunnelWith } from "./mistakes-of.ts";

const MODE_NAMES = [...MODES.keys(), "host-gw"].join(", ");

const TUNNEL_KEYS =
  "`mode`, `id`, `local`, `group`, `remote`, `flood`, `fdb`, `port`, `routes`, `mac-learning`, `unknown-unicast`, `policers`, `arp-proxy`, `neighbours`, `neighbors`, `notifications`, `vlan`, `ageing`, `aging`, `limit`, `limit-per-remote`, `eviction`, `move-damping`, `mtu`, `macaddress`, `addresses`, `netns`, `underlay-netns`, `link`, `queues`, `ttl`, `type-of-service`, `do-not-fragment`, `oversize`, `mss-clamp`, `flow-label`, `port-range`, `checksums`, `fwmark`, `accept`";

describe("a wrong shape", () => {
  it.each<[string, string, string | undefined, string]>([
    [
      "an empty file",
      "",
      undefined,
      "1:1: expected a map with the keys version, daemon and tunnels, got an empty file",
    ],
    [
      "a file of comments",
      "# nothing\n",
      undefined,
      "1:1: expected a map with the keys version, daemon and tunnels, got an empty file",
    ],
    ["a list", "- 1\n", undefined, "1:1: expected a map with the keys version, daemon and tunnels, got a list"],
    ["a word", "vtepd\n", undefined, '1:1: expected a map with the keys version, daemon and tunnels, got "vtepd"'],
    ["no version", "tunnels: {}\n", "version", "1:1: version: expected 1, got nothing: the key is required"],
    ["another version", "version: 2\n", "version", "1:10: version: expected 1, got 2"],
    ["a quoted version", 'version: "1"\n', "version", '1:10: version: expected 1, got "1"'],
    ["tunnels as a list", "version: 1\ntunnels: []\n", "tunnels", "2:10: tunnels: expected a map, got a list"],
    [
      "a tunnel without keys",
      "version: 1\ntunnels:\n  vx1:\n",
      "tunnels.vx1",
      "3:7: tunnels.vx1: expected a map, got nothing",
    ],
    [
      "a tunnel that is a number",
      "version: 1\ntunnels:\n  vx1: 5\n",
      "tunnels.vx1",
      "3:8: tunnels.vx1: expected a map, got 5",
    ],
    [
      "a tunnel without a mode",
      "version: 1\ntunnels:\n  vx1:\n    id: 1\n",
      "tunnels.vx1.mode",
      `4:5: tunnels.vx1.mode: expected a mode (${MODE_NAMES}), got nothing: the key is required`,
    ],
    [
      "a mode that does not exist",
      "version: 1\ntunnels:\n  vx1: { mode: l2tp, id: 1 }\n",
      "tunnels.vx1.mode",
      `3:16: tunnels.vx1.mode: expected a mode (${MODE_NAMES}), got "l2tp"`,
    ],
    [
      "a tunnel without an id",
      "version: 1\ntunnels:\n  vx1:\n    mode: vxlan\n",
      "tunnels.vx1.id",
      "4:5: tunnels.vx1.id: expected an integer from 0 to 16777215, got nothing: the key is required",
    ],
    [
      "an id above 24 bits",
      "version: 1\ntunnels:\n  vx1: { mode: vxlan, id: 16777216 }\n",
      "tunnels.vx1.id",
      "3:27: tunnels.vx1.id: expected an integer from 0 to 16777215, got 16777216",
    ],
  ])("%s", (_, text, path, line) => {
    expect(mistakesOf(text)).toEqual({ code: "ERR_CONFIG_VALUE", path, lines: [`vtepd.yaml:${line}`] });
  });

  it.each([["abcdefghijklmnop"], ["äöüäöüäö"], ["a/b"], ["a b"], ["."], [".."], [""], ["all"], ["vx%d"]])(
    "a tunnel of the name %j",
    (name) => {
      const shown = JSON.stringify(name);
      const path = `tunnels.${/^\w+$/.test(name) ? name : shown}`;
      expect(mistakesOf(`version: 1\ntunnels:\n  ${shown}: { mode: vxlan, id: 1 }\n`)).toEqual({
        code: "ERR_CONFIG_VALUE",
        path,
        lines: [`vtepd.yaml:3:3: ${path}: ${NAME}, got ${shown}`],
      });
    },
  );
});

describe("an unknown key", () => {
  it.each<[string, string, string]>([
    ["remot: 192.0.2.2", "remot", "did you mean `remote`?"],
    ["Local: 192.0.2.2", "Local", "did you mean `local`?"],
    ["mac_learning: true", "mac_learning", "did you mean `mac-learning`?"],
    ["adresses: []", "adresses", "did you mean `addresses`?"],
    ["flodo: []", "flodo", "did you mean `flood`?"],
    ["vlan-filtering: 1", "vlan-filtering", `expected one of ${TUNNEL_KEYS}`],
  ])("%s", (line, key, rest) => {
    const path = `tunnels.vx42.${key}`;
    const message = `unknown key \`${key}\`, ${rest}`;
    expect(mistakesOf(tunnelWith(line))).toEqual({
      code: "ERR_CONFIG_KEY",
      path,
      lines: [`vtepd.yaml:6:5: ${path}: ${message}`],
    });
  });

  it.each<[string, string | undefined, string]>([
    ["version: 1\ntunnel: {}\n", "tunnel", "2:1: tunnel: unknown key `tunnel`, did you mean `tunnels`?"],
    ["version: 1\nfoo: 1\n", "foo", "2:1: foo: unknown key `foo`, expected one of `version`, `daemon`, `tunnels`"],
    ["version: 1\ndaemon: { logs: {} }\n", "daemon.logs", "2:11: daemon.logs: unknown key `logs`, did you mean `log`?"],
    [
      "version: 1\ndaemon: { control: { sockets: /a } }\n",
      "daemon.control.sockets",
      "2:22: daemon.control.sockets: unknown key `sockets`, did you mean `socket`?",
    ],
    [
      tunnelWith("fdb: [{ mac: 02:00:00:00:00:01, dst: 192.0.2.2, dev: eth0 }]"),
      "tunnels.vx42.fdb[0].dev",
      "6:53: tunnels.vx42.fdb[0].dev: unknown key `dev`, expected one of `mac`, `dst`, `port`, `vni`, `via`, `sticky`",
    ],
    ["version: 1\n__proto__: 1\n", undefined, "2:1: unknown key `__proto__`"],
  ])("%j", (text, path, line) => {
    expect(mistakesOf(text)).toEqual({ code: "ERR_CONFIG_KEY", path, lines: [`vtepd.yaml:${line}`] });
  });
});

describe("text that is not YAML", () => {
  it.each<[string, string, string]>([
    ["a tab as indentation", "version: 1\ntunnels:\n\tvx1: {}\n", "3:1: expected spaces as indentation, got a tab"],
    [
      "a key twice",
      "version: 1\nversion: 1\n",
      "2:1: expected each key once, got `version` again (first at vtepd.yaml:1:1)",
    ],
    [
      "a name twice, once as a number",
      'version: 1\ntunnels:\n  42: {}\n  "42": {}\n',
      "4:3: expected each key once, got `42` again (first at vtepd.yaml:3:3)",
    ],
    [
      "a name that YAML reads as another number",
      "version: 1\ntunnels:\n  0x10: {}\n",
      "3:3: expected a key that is plain text, got `0x10`, which YAML reads as 16: quote it",
    ],
    ["a list for a key", "? [a]\n: 1\n", "1:3: expected a key that is plain text, got a list, a map or an alias"],
    [
      "an address that ends in colons",
      tunnelWith("local: 2001:db8::"),
      `6:12: expected a value, got \`2001:db8::\`, which YAML reads as a key: ${QUOTE}`,
    ],
    [
      "a value with a colon",
      tunnelWith("netns: a: b"),
      "6:12: expected one value, got `a: b`, which YAML reads as a key and its value on one line: quote it",
    ],
    [
      "an address in brackets",
      daemonWith("metrics:\n    listen: [::1]:19784"),
      '4:18: expected the end of the value, got `:19784`: an address in brackets must be quoted: "[::1]:9000"',
    ],
    ["a second document", "version: 1\n---\nversion: 1\n", "2:1: expected one YAML document, got a second one"],
    ["an alias of nothing", "version: *one\n", "1:10: expected the name of an anchor that stands above, got *one"],
    ["a tag", "version: !int 1\n", "1:10: expected a value without a tag, got `!int`"],
    [
      "a merge of a number",
      "version: 1\n<<: 3\n",
      "2:1: expected `<<` with a map or an alias of one, got something else",
    ],
    ["an open quote", 'version: "1\n', '2:1: expected YAML, got an error of its parser: Missing closing "quote'],
    [
      "aliases that grow without end",
      `a: &a [${"x,".repeat(9)}]\nb: &b [${"*a,".repeat(9)}]\nc: &c [${"*b,".repeat(9)}]\nd: [${"*c,".repeat(9)}]\n`,
      "1:1: expected readable YAML, got Excessive alias count indicates a resource exhaustion attack",
    ],
  ])("%s", (_, text, line) => {
    expect(mistakesOf(text)).toEqual({ code: "ERR_CONFIG_SYNTAX", path: undefined, lines: [`vtepd.yaml:${line}`] });
  });

  it("tells about nesting that no parser can follow", () => {
    const { code, lines } = mistakesOf("[".repeat(100_000));
    expect(code).toBe("ERR_CONFIG_SYNTAX");
    expect(lines[0]).toMatch(/^vtepd\.yaml:1:\d+: expected readable YAML, got lists or maps nested too deep$/);
  });

  it("ends when a map is merged into itself", () => {
    expect(mistakesOf("version: &a\n  <<: *a\n").code).toBe("ERR_CONFIG_SYNTAX");
  });
});

describe("several mistakes", () => {
  it("are told in the order of the file, with the code and the path of the first", () => {
    const text = `version: 1
daemon:
  wrokers: 2
tunnels:
  vx42:
    mode: vxlan
    id: x
    remot: 192.0.2.2
  bad/name:
    mode: vxlan
    id: -1
  vx44: { mode: vxlan, id: 44, local: 192.0.2.1, remote: 192.0.2.1 }
`;
    expect(mistakesOf(text)).toEqual({
      code: "ERR_CONFIG_KEY",
      path: "daemon.wrokers",
      lines: [
        "vtepd.yaml:3:3: daemon.wrokers: unknown key `wrokers`, did you mean `workers`?",
        'vtepd.yaml:7:9: tunnels.vx42.id: expected an integer from 0 to 16777215, got "x"',
        "vtepd.yaml:8:5: tunnels.vx42.remot: unknown key `remot`, did you mean `remote`?",
        `vtepd.yaml:9:3: tunnels."bad/name": ${NAME}, got "bad/name"`,
        'vtepd.yaml:11:9: tunnels."bad/name".id: expected an integer from 0 to 16777215, got -1',
        "vtepd.yaml:12:58: tunnels.vx44.remote: expected a remote VTEP, got 192.0.2.1, which is our own: tunnels.vx44.local (vtepd.yaml:12:39)",
      ],
    });
  });

  it("point at the anchor when the wrong value was merged", () => {
    const text = `version: 1
tunnels:
  vx1: &common
    mode: vxlan
    id: 1
    port: 70000
  vx2:
    <<: *common
    id: 2
`;
    expect(mistakesOf(text).lines).toEqual([
      "vtepd.yaml:6:11: tunnels.vx1.port: expected an integer from 1 to 65535, got 70000",
      "vtepd.yaml:6:11: tunnels.vx2.port: expected an integer from 1 to 65535, got 70000",
    ]);
  });
});
