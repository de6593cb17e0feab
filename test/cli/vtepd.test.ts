import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { InterruptEars } from "../../src/cli/interrupts.ts";
import { packageVersion } from "../../src/cli/version.ts";
import { type DaemonParts, run } from "../../src/cli/vtepd.ts";
import type { Config } from "../../src/config/config.ts";
import { VtepdError } from "../../src/errors.ts";
import { captureIo } from "../support/capture-io.ts";
import { Child } from "../support/child.ts";
import { temporaryDirectory } from "../support/control-fixture.ts";
import { waitFor } from "../support/wait-for.ts";

let directory: string;
let file: string;

const write = (text: string): void => writeFileSync(file, text);

beforeEach(() => {
  directory = temporaryDirectory();
  file = join(directory, "vtepd.yaml");
  write("version: 1\n");
});

afterEach(() => rmSync(directory, { recursive: true }));

/** A daemon that does nothing but to record, and whose ends are in the test's hands. */
class ScriptedDaemon implements DaemonParts {
  readonly calls: string[] = [];
  config: Config | undefined;
  isWatching = false;
  startError: unknown;
  stopError: unknown;
  reloadError: unknown;
  hangup: () => void = () => {};
  signal: (name: NodeJS.Signals) => void = () => {};
  crash: (error: unknown) => void = () => {};
  fail: (error: VtepdError) => void = () => {};
  second: () => void = () => {};
  readonly #failed = new Promise<VtepdError>((resolve) => {
    this.fail = resolve;
  });

  async start(config: Config, { configPath, version }: { configPath: string; version: string }) {
    this.config = config;
    this.calls.push(`start ${configPath} ${version}`);
    if (this.startError !== undefined) throw this.startError;
    return {
      failed: this.#failed,
      reload: async () => {
        this.calls.push("reload");
        if (this.reloadError !== undefined) throw this.reloadError;
        return { added: [], removed: [], changed: {}, remade: [], unchanged: 0, daemon: {} };
      },
      stop: async () => {
        this.calls.push("stop");
        if (this.stopError !== undefined) throw this.stopError;
      },
    };
  }

  interrupts({ onSecond, onHangup }: InterruptEars) {
    this.second = onSecond;
    this.hangup = onHangup;
    this.isWatching = true;
    return {
      signal: new Promise<NodeJS.Signals>((resolve) => {
        this.signal = resolve;
      }),
      crash: new Promise<unknown>((resolve) => {
        this.crash = resolve;
      }),
    };
  }

  exit(status: number): void {
    this.calls.push(`exit ${status}`);
  }
}

const vtepd = async (argv: string[], parts = new ScriptedDaemon()) => {
  const io = captureIo();
  const status = await run(argv, io, parts);
  return { status, stdout: io.stdout, stderr: io.stderr };
};

describe("vtepd", () => {
  it("prints help and version", async () => {
    expect(await vtepd(["--version"])).toEqual({ status: 0, stdout: `vtepd ${packageVersion()}\n`, stderr: "" });
    const help = await vtepd(["--help"]);
    expect(help.status).toBe(0);
    for (const option of ["--config FILE", "--check", "--print-schema", "--version", "--help"]) {
      expect(help.stdout).toContain(option);
    }
  });

  it("prints the JSON schema of the configuration", async () => {
    const { status, stdout } = await vtepd(["--print-schema"]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout).properties).toHaveProperty("tunnels");
  });

  it.each([
    [["--bogus"], "Unknown option '--bogus'"],
    [["--config"], "Option '-c, --config <value>' argument missing"],
    [["extra"], "Unexpected argument 'extra'"],
  ])("refuses %s with status 1", async (argv, words) => {
    const { status, stdout, stderr } = await vtepd(argv);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/^vtepd: ERR_USAGE: .*; try "vtepd --help"\n$/);
    expect(stderr).toContain(words);
  });
});

describe("SIGHUP", () => {
  it("reloads; one that comes while the daemon starts does so after that, and one that fails is told", async () => {
    const parts = new ScriptedDaemon();
    const start = parts.start.bind(parts);
    parts.start = async (config, options) => {
      parts.hangup();
      return start(config, options);
    };
    const io = captureIo();
    const status = run(["--config", file], io, parts);
    await waitFor(() => parts.calls.includes("reload"), { what: "the first reload" });
    expect(parts.calls).toEqual([`start ${file} ${packageVersion()}`, "reload"]);
    parts.reloadError = new VtepdError("ERR_CONFIG_KEY", "vtepd.yaml:1:1: unknown key `x`");
    parts.hangup();
    await waitFor(() => io.stderr !== "", { what: "the error" });
    expect(io.stderr).toBe("vtepd: ERR_CONFIG_KEY: vtepd.yaml:1:1: unknown key `x`\n");
    parts.signal("SIGTERM");
    expect(await status).toBe(0);
  });
});

describe("vtepd --check", () => {
  it("says ok for a right file and starts nothing", async () => {
    const parts = new ScriptedDaemon();
    expect(await vtepd(["--check", "--config", file], parts)).toEqual({
      status: 0,
      stdout: `${file}: ok\n`,
      stderr: "",
    });
    expect(parts.calls).toEqual([]);
  });

  it("ends with status 1 and the place for a wrong file", async () => {
    write("version: 1\ntunnels:\n  vx42:\n    mode: vxlan\n    id: 16777216\n    local: 192.0.2.1\n");
    const { status, stdout, stderr } = await vtepd(["--check", "-c", file]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/^vtepd: ERR_CONFIG_VALUE: /);
    expect(stderr).toContain(`${file}:5:`);
  });

  it("ends with status 1 for a missing file", async () => {
    expect(await vtepd(["--check", "-c", join(directory, "nope.yaml")])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^vtepd: ERR_CONFIG_READ: /),
    });
  });
});

describe("vtepd as a daemon", () => {
  it("starts with the configuration, stops at a signal and ends with status 0", async () => {
    const parts = new ScriptedDaemon();
    const ended = vtepd(["-c", file], parts);
    await waitFor(() => parts.calls.length > 0, { what: "the start" });
    parts.signal("SIGTERM");
    expect(await ended).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(parts.calls).toEqual([`start ${file} ${packageVersion()}`, "stop"]);
    expect(parts.config!.version).toBe(1);
  });

  it("never starts with a wrong configuration", async () => {
    write("version: 2\n");
    const parts = new ScriptedDaemon();
    expect((await vtepd(["-c", file], parts)).status).toBe(1);
    expect(parts.calls).toEqual([]);
  });

  it("tells why it could not start, with the status of the code", async () => {
    const parts = new ScriptedDaemon();
    parts.startError = new VtepdError("ERR_NO_TUN", "cannot open /dev/net/tun: ENOENT");
    expect(await vtepd(["-c", file], parts)).toEqual({
      status: 2,
      stdout: "",
      stderr: "vtepd: ERR_NO_TUN: cannot open /dev/net/tun: ENOENT\n",
    });
    parts.startError = new VtepdError("ERR_CONFIG_VALUE", "no such group");
    expect((await vtepd(["-c", file], parts)).status).toBe(1);
  });

  it("prints an unknown error without its stack and ends with status 2", async () => {
    const parts = new ScriptedDaemon();
    parts.startError = new TypeError("not a function");
    expect(await vtepd(["-c", file], parts)).toEqual({ status: 2, stdout: "", stderr: "vtepd: not a function\n" });
  });

  it("prints the stack at log level debug", async () => {
    write("version: 1\ndaemon: { log: { level: debug } }\n");
    const parts = new ScriptedDaemon();
    parts.startError = new TypeError("not a function");
    const { stderr } = await vtepd(["-c", file], parts);
    expect(stderr).toMatch(/^vtepd: TypeError: not a function\n {4}at /);
  });

  it("tells a failure while running, stops, and ends with status 2", async () => {
    const parts = new ScriptedDaemon();
    const ended = vtepd(["-c", file], parts);
    parts.fail(new VtepdError("ERR_WORKER", "worker 0 ended"));
    expect(await ended).toEqual({ status: 2, stdout: "", stderr: "vtepd: ERR_WORKER: worker 0 ended\n" });
    expect(parts.calls.at(-1)).toBe("stop");
  });

  it("stops after an uncaught exception too", async () => {
    const parts = new ScriptedDaemon();
    const ended = vtepd(["-c", file], parts);
    await waitFor(() => parts.calls.length > 0, { what: "the start" });
    parts.crash(new Error("nobody caught me"));
    expect(await ended).toMatchObject({ status: 2, stderr: "vtepd: nobody caught me\n" });
    expect(parts.calls.at(-1)).toBe("stop");
  });

  it("does not wait for a start that an uncaught exception interrupted", async () => {
    class EndlessStart extends ScriptedDaemon {
      override start(): Promise<never> {
        return new Promise(() => {});
      }
    }
    const parts = new EndlessStart();
    const ended = vtepd(["-c", file], parts);
    await waitFor(() => parts.isWatching, { what: "the handlers" });
    parts.crash(new Error("nobody caught me"));
    expect(await ended).toMatchObject({ status: 2, stderr: "vtepd: nobody caught me\n" });
  });

  it("tells that a stop failed", async () => {
    const parts = new ScriptedDaemon();
    parts.stopError = new VtepdError("ERR_SYSCALL", "close failed");
    const ended = vtepd(["-c", file], parts);
    await waitFor(() => parts.calls.length > 0, { what: "the start" });
    parts.signal("SIGINT");
    expect(await ended).toMatchObject({ status: 2, stderr: "vtepd: ERR_SYSCALL: close failed\n" });
  });

  it("ends at once with status 1 at the second signal", async () => {
    const parts = new ScriptedDaemon();
    const ended = vtepd(["-c", file], parts);
    await waitFor(() => parts.calls.length > 0, { what: "the start" });
    parts.second();
    expect(parts.calls.at(-1)).toBe("exit 1");
    parts.signal("SIGTERM");
    await ended;
  });
});

describe("watchInterrupts in a process of its own", () => {
  const program = (rest: string): Child =>
    new Child(process.execPath, [
      "--import",
      "tsx",
      "--input-type=module",
      "-e",
      `import { watchInterrupts } from ${JSON.stringify(join(process.cwd(), "src/cli/interrupts.ts"))};
       const { signal, crash } = watchInterrupts({ onSecond: () => process.exit(1), onHangup: () => console.log("hangup") });
       const alive = setInterval(() => {}, 1000);
       signal.then((name) => console.log("signal", name));
       crash.then((error) => { console.log("crash", error.message); clearInterval(alive); });
       console.log("ready");
       ${rest}`,
    ]);

  it("takes the first signal for a request and the second for an order", async () => {
    const child = program("");
    await waitFor(() => child.stdout.includes("ready"), { what: "the program" });
    child.signal("SIGHUP");
    await waitFor(() => child.stdout.includes("hangup"), { what: "the hangup" });
    child.signal("SIGTERM");
    await waitFor(() => child.stdout.includes("signal SIGTERM"), { what: "the first signal" });
    child.signal("SIGINT");
    expect(await child.exited).toEqual({ code: 1, signal: null });
  });

  it("reports uncaught exceptions and rejections", async () => {
    const child = program('setTimeout(() => { throw new Error("thrown"); }, 1);');
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.stdout).toContain("crash thrown");
    const rejecting = program('Promise.reject(new Error("rejected"));');
    expect(await rejecting.exited).toEqual({ code: 0, signal: null });
    expect(rejecting.stdout).toContain("crash rejected");
  });
});

describe("the program vtepd", () => {
  const start = (...argv: string[]): Child => new Child(process.execPath, ["--import", "tsx", "src/vtepd.ts", ...argv]);

  it("prints its version and ends with status 0", async () => {
    const child = start("--version");
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.stdout).toBe(`vtepd ${packageVersion()}\n`);
  });

  it("checks a file and ends with its status", async () => {
    expect((await start("--check", "-c", file).exited).code).toBe(0);
    write("nonsense: true\n");
    const child = start("--check", "-c", file);
    expect((await child.exited).code).toBe(1);
    expect(child.stderr).toMatch(/^vtepd: ERR_CONFIG_/);
  });
});
