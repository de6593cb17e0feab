/** Files of the directory beside the configuration file, merged into it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { VtepdError } from "../../src/errors.ts";

let folder: string;
let main: string;

/** @param files by their path from the folder */
const write = (files: Readonly<Record<string, string>>): void => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
};

/** What is told of a configuration, with names of files from the folder on. */
const complaints = (): string[] => {
  try {
    loadConfig(main);
  } catch (error) {
    expect(error).toBeInstanceOf(VtepdError);
    return (error as VtepdError).message.replaceAll(`${folder}/`, "").split("\n");
  }
  return [];
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vtepd-test-"));
  main = join(folder, "v.yaml");
});
afterEach(() => rmSync(folder, { recursive: true }));

const VX42 =
  "vx42: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24], port-range: [5000, 6000] }";

describe("a configuration directory", () => {
  it("is merged in the order of the names: maps by key, later scalars, lists one after the other", () => {
    write({
      "v.yaml": `version: 1\ndaemon: { log: { level: warn }, workers: 2 }\ntunnels: { ${VX42} }\n`,
      "v.yaml.d/20-second.yaml":
        "tunnels:\n  vx42: { remote: 192.0.2.4, addresses: [fd00::1/64], port-range: [7000, 8000] }\n  vx43: { mode: vxlan, id: 43, remote: 192.0.2.2 }\n",
      "v.yaml.d/10-first.yaml":
        "daemon: { log: { level: debug } }\ntunnels: { vx42: { remote: 192.0.2.3, ageing: 60 } }\n",
      "v.yaml.d/30-empty.yaml": "# nothing\n",
      "v.yaml.d/40-empty-maps.yaml": "version: 1\ndaemon:\ntunnels:\n",
      "v.yaml.d/README": "not: yaml: at all\n",
      "v.yaml.d/.hidden.yaml": "not: yaml: at all\n",
    });
    const { daemon, tunnels, settings } = loadConfig(main);
    expect(daemon).toMatchObject({ log: { level: "debug" }, workers: 2 });
    expect(tunnels.map(({ name }) => name)).toEqual(["vx42", "vx43"]);
    expect(tunnels[0]).toMatchObject({
      remote: "192.0.2.4",
      ageingS: 60,
      addresses: ["10.42.0.1/24", "fd00::1/64"],
      sourcePorts: { first: 7000, last: 8000 },
    });
    expect(settings.tunnels["vx42"]).toMatchObject({ remote: "192.0.2.4", addresses: ["10.42.0.1/24", "fd00::1/64"] });
  });

  it("may stand alone, but something must be there", () => {
    write({ "v.yaml.d/a.yaml": `tunnels: { ${VX42} }\n`, "v.yaml.d/b.yaml": "version: 1\n" });
    expect(loadConfig(main).tunnels).toHaveLength(1);
    rmSync(`${main}.d`, { recursive: true });
    mkdirSync(`${main}.d`);
    expect(complaints().join()).toMatch(/^v.yaml: expected a readable file, got: ENOENT/);
  });

  it("is told about with file, line and column, in the order of the files", () => {
    write({
      "v.yaml": "version: 1\ntunnels:\n  vx1: { mode: vxlan, id: x }\n  vx3: { mode: vxlan }\n",
      "v.yaml.d/b.yaml":
        "version: 2\ntunnels:\n  vx2: { mode: vxlan, id: 2, flood: [192.0.2.1, 192.0.2.300] }\n  vx3: { idd: 3 }\n",
      "v.yaml.d/a.yaml": "tunnels:\n  vx2: { flood: [192.0.2.1], remote: 192.0.2.5 }\n",
    });
    expect(complaints()).toEqual([
      'v.yaml:3:27: tunnels.vx1.id: expected an integer from 0 to 16777215, got "x"',
      "v.yaml:4:8: tunnels.vx3.id: expected an integer from 0 to 16777215, got nothing: the key is required",
      "v.yaml.d/b.yaml:1:10: version: expected 1, got 2",
      expect.stringMatching(/^v.yaml.d\/b.yaml:3:49: tunnels.vx2.flood\[2\]: expected .*192.0.2.300/),
      "v.yaml.d/b.yaml:4:10: tunnels.vx3.idd: unknown key `idd`, did you mean `id`?",
    ]);
  });

  it("is told of a version that is wrong though a later file has the right one, and of one that is nowhere", () => {
    write({ "v.yaml": "version: 3\n", "v.yaml.d/a.yaml": "version: 1\n" });
    expect(complaints()).toEqual(["v.yaml:1:10: version: expected 1, got 3"]);
    write({ "v.yaml": "tunnels:\n", "v.yaml.d/a.yaml": "daemon:\n" });
    expect(complaints()).toEqual(["v.yaml:1:1: version: expected 1, got nothing: the key is required"]);
  });

  it("is told of values of two files that contradict each other, at both places", () => {
    write({
      "v.yaml": `version: 1\ntunnels:\n  ${VX42}\n`,
      "v.yaml.d/a.yaml": "tunnels:\n  vx43: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.9 }\n",
    });
    const [only, ...none] = complaints();
    expect(none).toEqual([]);
    expect(only).toContain("v.yaml.d/a.yaml:2:28: tunnels.vx43.id: ");
    expect(only).toContain("(v.yaml:3:28)");
  });

  it("is not read at all when one of its files is no YAML, no map, or cannot be read", () => {
    write({ "v.yaml": "version: 1\n", "v.yaml.d/a.yaml": "a: b: c\n", "v.yaml.d/b.yaml": "x: 1\nx: 2\n" });
    expect(complaints()).toEqual([
      expect.stringMatching(/^v.yaml.d\/a.yaml:1:/),
      expect.stringMatching(
        /^v.yaml.d\/b.yaml:2:1: expected each key once, got `x` again \(first at v.yaml.d\/b.yaml:1:1\)/,
      ),
    ]);
    rmSync(`${main}.d`, { recursive: true });
    write({ "v.yaml.d/a.yaml": "- a list\n" });
    expect(complaints()).toEqual([expect.stringMatching(/^v.yaml.d\/a.yaml:1:1: expected a map .*, got a list/)]);
    rmSync(`${main}.d`, { recursive: true });
    mkdirSync(join(`${main}.d`, "sub.yaml"), { recursive: true });
    expect(complaints().join()).toContain("v.yaml.d/sub.yaml: expected a readable file, got: EISDIR");
    rmSync(`${main}.d`, { recursive: true });
    writeFileSync(`${main}.d`, "");
    expect(complaints().join()).toContain("v.yaml.d: expected a readable directory, got: ENOTDIR");
  });

  it("ends on maps without an end", () => {
    const cycle = "version: 1\ntunnels: &t\n  vx1: *t\n";
    write({ "v.yaml": cycle, "v.yaml.d/a.yaml": cycle });
    expect(complaints().length).toBeGreaterThan(0);
  });
});
