import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../src/cli/vtepctl.ts";
import { captureIo } from "../support/capture-io.ts";
import { type ControlFixture, controlFixture } from "../support/control-fixture.ts";

let control: ControlFixture;

/** Beside those of the fixture: learned, hit and moved at different times. */
const LEARNED = [
  ["02:00:00:00:01:01", "192.0.2.2", 5, 500],
  ["02:00:00:00:01:02", "192.0.2.3", 50, 60],
] as const;

beforeEach(async () => {
  control = await controlFixture();
  for (const [mac, dst, usedS, updatedS] of LEARNED) control.service.learn("vx42", mac, dst, usedS, updatedS);
});

afterEach(() => control.close());

const vtepctl = async (line: string) => {
  const io = captureIo({ VTEPD_SOCKET: control.socket });
  const status = await run(line.split(" "), io);
  return { status, stdout: io.stdout, stderr: io.stderr };
};

/** Ends of the MACs that are left in vx42. */
const left = (): string =>
  [...control.service.fdb("vx42")]
    .filter(({ mac }) => mac !== "00:00:00:00:00:00")
    .map(({ mac }) => mac.slice(-5))
    .join(" ");

describe("vtepctl fdb flush", () => {
  it.each([
    ["", "00:05"],
    ["state learned", "00:05"],
    ["state static", "00:06 01:01 01:02"],
    ["state all", ""],
    ["dst 192.0.2.3", "00:05 00:06 01:01"],
    ["lladdr 02:00:00:00:01:01", "00:05 00:06 01:02"],
    ["port 4789", "00:05"],
    ["port 4790", "00:05 00:06 01:01 01:02"],
    ["state all port 4790", "00:06 01:01 01:02"],
    ["vni 42", "00:05"],
    ["state static vni 43", "00:06 01:01 01:02"],
    ["state static vni 42", "00:05 00:06 01:01 01:02"],
    ["idle 50", "00:05 00:06 01:01"],
    ["age 60", "00:05 00:06"],
    ["idle 2 age 100", "00:05 00:06 01:02"],
    ["state all age 10 dst 192.0.2.2", "01:02"],
    ["self dst 192.0.2.9", "00:05 00:06 01:01 01:02"],
  ])("dev vx42 %s", async (conditions, rest) => {
    const before = [...control.service.fdb()].length;
    const { status, stdout } = await vtepctl(`fdb flush ${conditions} dev vx42`.replaceAll("  ", " "));
    expect(left()).toBe(rest);
    expect([status, stdout]).toEqual([0, `flushed ${before - [...control.service.fdb()].length}\n`]);
    expect([...control.service.fdb("vx43")]).toHaveLength(1);
  });

  it.each([
    ["state old", 'argument "old" is wrong: invalid state'],
    ["age -1", 'argument "-1" is wrong: invalid number of seconds'],
    ["idle 5s", 'argument "5s" is wrong: invalid number of seconds'],
    ["port 0", 'argument "0" is wrong: invalid port'],
    ["vni 16777216", 'argument "16777216" is wrong: invalid VNI'],
    ["master", '"master" is the FDB of a Linux bridge, which is not vtepd\'s: use `bridge fdb ... master`'],
  ])("refuses %s, and takes nothing", async (conditions, message) => {
    const before = left();
    expect(await vtepctl(`fdb flush dev vx42 ${conditions}`)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(new RegExp(`^vtepctl: ${message}\n`)),
    });
    expect(left()).toBe(before);
  });

  it("says how many in JSON, and that there is no such tunnel", async () => {
    expect((await vtepctl("-j fdb flush dev vx42")).stdout).toBe('{"flushed":3}\n');
    expect(await vtepctl("fdb flush dev vx44")).toMatchObject({ status: 2, stdout: "" });
  });
});
