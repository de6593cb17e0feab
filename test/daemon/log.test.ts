import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLog } from "../../src/daemon/log.ts";
import { VtepdError } from "../../src/errors.ts";
import { temporaryDirectory } from "../support/control-fixture.ts";

let directory: string;
let fd: number;

const written = (): string => readFileSync(join(directory, "log"), "utf8");

beforeEach(() => {
  directory = temporaryDirectory();
  fd = openSync(join(directory, "log"), "w");
});

afterEach(() => {
  closeSync(fd);
  rmSync(directory, { recursive: true });
});

describe("the log", () => {
  it("is one JSON object a line with fixed names, written when the call returns", () => {
    const log = createLog("info", { fd, readable: false });
    log.info({ link: "vx42", vni: 42 }, "tunnel ready");
    const line = JSON.parse(written());
    expect(Object.keys(line)).toEqual(["level", "time", "pid", "link", "vni", "msg"]);
    expect(line).toMatchObject({ level: "info", pid: process.pid, link: "vx42", vni: 42, msg: "tunnel ready" });
    expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it("keeps silent below its level", () => {
    const log = createLog("warn", { fd, readable: false });
    log.info("quiet");
    log.warn("loud");
    expect(written().trimEnd().split("\n")).toHaveLength(1);
  });

  it("carries an error's code, path and stack under err", () => {
    const log = createLog("info", { fd, readable: false });
    log.error({ err: new VtepdError("ERR_CONFIG_VALUE", "wrong", { path: "tunnels.vx42.id" }) }, "failed");
    expect(JSON.parse(written()).err).toMatchObject({
      code: "ERR_CONFIG_VALUE",
      path: "tunnels.vx42.id",
      message: "wrong",
      stack: expect.stringContaining("log.test.ts"),
    });
  });

  it("is readable text for a person, one line an event", () => {
    const log = createLog("info", { fd, readable: true });
    log.info({ link: "vx42", vni: 42 }, "tunnel ready");
    const text = written();
    expect(text).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] .*INFO.*: .*tunnel ready.*\n$/);
    expect(text).toContain("vx42");
    expect(text.trimEnd().split("\n")).toHaveLength(1);
    expect(() => JSON.parse(text)).toThrow();
  });

  it("never fails for want of room, and is silent then", () => {
    const full = openSync("/dev/full", "w");
    try {
      const log = createLog("info", { fd: full, readable: false });
      for (let n = 0; n < 3; n++) log.info("lost");
    } finally {
      closeSync(full);
    }
  });

  it("goes on when there is room again, on a line of its own, and says how much is missing", () => {
    const pipe = join(directory, "pipe");
    execFileSync("mkfifo", [pipe]);
    const stuck = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
    try {
      const log = createLog("info", { fd: stuck, readable: false });
      const buffer = Buffer.alloc(1 << 20);
      // More than a pipe holds: the last one is cut in its middle.
      for (let n = 0; n < 3; n++) log.info({ text: "x".repeat(30_000), n }, "long");
      log.info("lost");
      expect(buffer.toString("utf8", 0, readSync(stuck, buffer)).split("\n")).toHaveLength(3);
      log.info("back");
      const [cut, ...lines] = buffer.toString("utf8", 0, readSync(stuck, buffer)).trimEnd().split("\n");
      expect(cut).toBe("");
      expect(lines.map((line) => JSON.parse(line))).toEqual([
        expect.objectContaining({ level: "warn", lost: 2, msg: "lines of the log could not be written" }),
        expect.objectContaining({ level: "info", msg: "back" }),
      ]);
    } finally {
      closeSync(stuck);
    }
  });
});
