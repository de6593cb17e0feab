/** Completion, as bash asks for it, and the manual page: both made from the grammar. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COMMANDS } from "../../src/cli/command/commands.ts";
import { OBJECTS } from "../../src/cli/grammar/objects.ts";
import { manualPage } from "../../src/cli/manual-page.ts";
import { run } from "../../src/cli/vtepctl.ts";
import { captureIo } from "../support/capture-io.ts";
import { type ControlFixture, controlFixture } from "../support/control-fixture.ts";

let control: ControlFixture;

beforeAll(async () => {
  control = await controlFixture();
});
afterAll(() => control.close());

/** What may follow `line`, whose last word is being written. */
const after = async (line: string): Promise<string[]> => {
  const io = captureIo({ VTEPD_SOCKET: control.socket });
  expect(await run(["__complete", `vtepctl ${line}`], io)).toBe(0);
  return io.stdout.split("\n").slice(0, -1);
};

describe("vtepctl completes", () => {
  it.each([
    ["fl", ["flood"]],
    ["fdb fl", ["flush"]],
    ["-js", ["-json"]],
    ["-j lin", ["link"]],
    ["link add vx0 ty", ["type"]],
    ["link add vx0 type vx", ["vxlan"]],
    ["link add vx0 type vxlan id 5 rem", ["remote"]],
    ["link add vx0 type vxlan ttl ", ["auto", "inherit"]],
    ["link add vx0 type vxlan id 5 nolea", ["nolearning"]],
    ["link add vx0 type vxlan exter", []],
    ["link show ", ["master", "type", "up", "vx42", "vx43"]],
    ["link set vx42 type gre tt", ["ttl"]],
    ["fdb add 02:00:00:00:00:05 dev ", ["vx42", "vx43"]],
    ["fdb show state p", ["permanent"]],
    ["fdb show dev vx42 s", ["state"]],
    ["f", ["fdb", "flood"]],
    ["fd sho", ["show"]],
    ["tunnel add t mode si", ["sit"]],
    ["tunnel add t mode sit remote 192.0.2.2 tt", ["ttl"]],
    ["attach ", ["address", "default", "docker", "netns", "pid", "podman", "route", "via", "vx42", "vx43"]],
    ["attach vx42 default address 10.0.0.1/24 ad", ["address"]],
    ["completion ", ["bash", "fish", "help", "zsh"]],
    ["nonsense ", []],
  ])("%s", async (line, words) => {
    expect(await after(line)).toEqual(words);
  });

  it("names of namespaces, interfaces and files, and nothing where no daemon answers", async () => {
    writeFileSync(join(control.directory, "next.yaml"), "");
    mkdirSync(join(control.directory, "next.d"));
    expect(await after(`config apply ${control.directory}/nex`)).toEqual([
      `${control.directory}/next.d/`,
      `${control.directory}/next.yaml`,
    ]);
    expect(await after("link add x type vxlan dev l")).toContain("lo");
    const io = captureIo({ VTEPD_SOCKET: "/nonexistent" });
    expect(await run(["__complete", "vtepctl link rekey "], io)).toBe(0);
    expect({ stdout: io.stdout, stderr: io.stderr }).toEqual({ stdout: "", stderr: "" });
  });
});

describe("vtepctl completion bash", () => {
  it("gives bash a function that fills COMPREPLY", async () => {
    const io = captureIo();
    expect(await run(["completion", "bash"], io)).toBe(0);
    const program = join(control.directory, "vtepctl");
    const source = join(process.cwd(), "src/vtepctl.ts");
    writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" --import tsx "${source}" "$@"\n`);
    chmodSync(program, 0o755);
    const line = "vtepctl fdb add 02:00:00:00:00:05 dev vx";
    const words = line.replaceAll(":", " : ").split(" ");
    const script = `${io.stdout}
complete -p vtepctl
COMP_LINE=${JSON.stringify(line)} COMP_POINT=${line.length}
COMP_WORDS=(${words.map((word) => JSON.stringify(word)).join(" ")}) COMP_CWORD=${words.length - 1}
_vtepctl
printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { ...process.env, PATH: `${control.directory}:${process.env["PATH"]}`, VTEPD_SOCKET: control.socket };
    // Not in this process's own turn: the daemon that is asked lives here.
    const { execFile } = await import("node:child_process");
    const stdout = await new Promise<string>((resolve, reject) =>
      execFile("bash", ["--norc", "-c", script], { env }, (error, out) => (error ? reject(error) : resolve(out))),
    );
    expect(stdout).toBe("complete -F _vtepctl vtepctl\nvx42\nvx43\n");
    expect(execFileSync("bash", ["-n"], { input: io.stdout, encoding: "utf8" })).toBe("");
  });
});

describe("the grammar", () => {
  it("has a command for each object and verb, and no other", () => {
    const verbs = OBJECTS.flatMap(({ name, verbs }) => verbs.map(({ names }) => `${name} ${names[0]}`));
    expect(Object.keys(COMMANDS).toSorted()).toEqual(verbs.toSorted());
  });
});

describe("the manual page", () => {
  it("has every object, option and type, and nothing that groff warns of", () => {
    const page = manualPage();
    for (const { name } of OBJECTS) expect(page).toContain(`.SS "${name} \\- `);
    const { status, stdout, stderr } = spawnSync("groff", ["-man", "-Tutf8", "-ww", "-z"], {
      input: page,
      encoding: "utf8",
    });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
  });
});
