import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { manualPage } from "../../src/cli/manual-page.ts";
import { renderExample } from "../../src/config/example.ts";
import { printSchema, type SchemaNode, schemaRoot } from "../../src/config/json-schema.ts";
import { rowsOf } from "../../src/config/key-table.ts";
import { parseConfig } from "../../src/config/load.ts";
import { renderReference } from "../../src/config/reference.ts";
import { scenarioFiles } from "../../src/config/scenario-file.ts";
import { ERROR_CODES } from "../../src/errors.ts";
import { MODES } from "../../src/tunnel/modes.ts";

const FOLDER = new URL("../../config/", import.meta.url);
const SCENARIOS = scenarioFiles(FOLDER);
const reference = (): string => renderReference(SCENARIOS);

const read = (file: string): string => readFileSync(new URL(file, FOLDER), "utf8");

/** The example with every key that it leaves commented. */
const uncommented = (text: string): string => text.replace(/^( *)#(?=[a-z])/gm, "$1");

/** Every key that one file may have, aliases apart. */
const keysOf = (node: SchemaNode): string[] => [
  ...rowsOf(node).flatMap(({ name, aliasOf, insteadOf, node: value }) =>
    aliasOf === undefined && insteadOf === undefined ? [name, ...keysOf(value)] : [],
  ),
  ...[...(node.anyOf ?? []), ...(node.oneOf ?? []), ...(node.items ? [node.items] : [])].flatMap(keysOf),
  ...(node.additionalProperties ? keysOf(node.additionalProperties) : []),
];

const keysIn = (value: unknown): string[] =>
  typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => [...(Array.isArray(value) ? [] : [key]), ...keysIn(inner)])
    : [];

describe("the generated files are as the table of keys has them (npm run generate)", () => {
  it.each([
    ["README.md", reference],
    ["vtepd.example.yaml", renderExample],
    ["vtepd.schema.json", printSchema],
    ["vtepctl.8", manualPage],
  ])("%s", (file, render) => {
    expect(read(file)).toBe(render());
  });
});

describe("the example file", () => {
  const text = read("vtepd.example.yaml");

  it("loads as it is, with every default", () => {
    const bare = "version: 1\ntunnels: { vx42: { mode: vxlan, id: 42 } }\n";
    const { tunnels, hostGateways, version, daemon } = parseConfig(text, "example");
    expect(hostGateways).toHaveLength(1);
    expect({ version, daemon, tunnels: tunnels.slice(0, 1) }).toEqual({
      version: 1,
      daemon: parseConfig(bare, "bare").daemon,
      tunnels: parseConfig(bare, "bare").tunnels,
    });
    expect(tunnels.map(({ mode }) => mode)).toEqual([...MODES.keys()]);
  });

  it("loads with every key uncommented", () => {
    expect(parseConfig(uncommented(text), "example").tunnels).toHaveLength(MODES.size);
  });

  it("shows every key once, at its default where it has one", () => {
    const names = new Set(["vx42", ...[...MODES.keys(), "host-gw"].map((mode) => `${mode}1`)]);
    const shown = new Set(keysIn(parse(uncommented(text))).filter((key) => !names.has(key)));
    expect([...shown].toSorted()).toEqual([...new Set(keysOf(schemaRoot()))].toSorted());
    const bare = parseConfig(text, "example");
    const full = parseConfig(uncommented(text), "example");
    // What has no default, or an empty list for one, is shown by an example.
    const { control, offload } = full.daemon;
    expect({
      ...full.daemon,
      control: { ...control, group: undefined },
      metrics: {},
      cpus: [],
      resolver: [],
      offload: { ...offload, disabled: [] },
    }).toEqual(bare.daemon);
    const { port, macLearning, ageingS, limit, queues } = bare.tunnels[0]!;
    expect(full.tunnels[0]).toMatchObject({ port, macLearning, ageingS, limit });
    expect(full.tunnels[0]?.queues).toBe(queues);
  });
});

describe("the table of keys", () => {
  const rows = (node: SchemaNode): ReturnType<typeof rowsOf> => [
    ...rowsOf(node).flatMap((row) => [row, ...rows(row.node)]),
    ...[...(node.anyOf ?? []), ...(node.oneOf ?? []), ...(node.items ? [node.items] : [])].flatMap(rows),
    ...(node.additionalProperties ? rows(node.additionalProperties) : []),
  ];

  it.each(rows(schemaRoot()).map((row) => [row.name, row] as const))("says what %s is", (_, row) => {
    expect(row.description).toMatch(/^[A-Z].*\.$/);
    expect(row.type).not.toMatch(/^(|string|number|integer|boolean)$/);
  });
});

describe("the key reference", () => {
  it("names every error code of a configuration, and no other", () => {
    const named = [...reference().matchAll(/ERR_[A-Z_]+/g)].map(([code]) => code);
    const codes = Object.keys(ERROR_CODES).filter((code) => code.startsWith("ERR_CONFIG_"));
    expect([...new Set(named)].toSorted()).toEqual(codes.toSorted());
  });

  it.each(SCENARIOS)("says what $name shows", ({ shows }) => {
    expect(shows).toMatch(/^[A-Z][^.]{10,}$/);
  });

  it("shows mistakes as they are told", () => {
    const text = "version: 1\ntunnels:\n  vx42:\n    mode: vxlan\n\n    id: x\n    remot: 192.0.2.2\n";
    const shown = reference().match(/^ {4}vtepd\.yaml:.*$/gm) ?? [];
    expect(() => parseConfig(text, "vtepd.yaml")).toThrow(shown.map((line) => line.trim()).join("\n"));
  });
});

describe("the JSON schema", () => {
  const schema = z.fromJSONSchema(JSON.parse(printSchema()));
  const accepts = (text: string): boolean => schema.safeParse(parse(text)).success;

  it.each(["vtepd.example.yaml", ...SCENARIOS.map(({ name }) => name)])("accepts %s", (file) => {
    expect(accepts(read(file))).toBe(true);
  });

  it("accepts the example with every key uncommented", () => {
    expect(accepts(uncommented(read("vtepd.example.yaml")))).toBe(true);
  });

  it.each([
    ["version: 2"],
    ["tunnels: {}"],
    ["version: 1\nfoo: 1"],
    ["version: 1\ntunnels: { vx1: { mode: vxlan } }"],
    ["version: 1\ntunnels: { vx1: { mode: gre, id: 1 } }"],
    ["version: 1\ntunnels: { vx1: { mode: vxlan, id: 16777216 } }"],
    ["version: 1\ntunnels: { vx1: { mode: vxlan, id: 1, remot: 192.0.2.2 } }"],
    ["version: 1\ntunnels: { vx1: { mode: vxlan, id: 1, macaddress: 2:0:0:0:0:1 } }"],
    ["version: 1\ntunnels: { vx1: { mode: vxlan, id: 1, queues: many } }"],
  ])("refuses %j", (text) => {
    expect(accepts(text)).toBe(false);
  });
});
