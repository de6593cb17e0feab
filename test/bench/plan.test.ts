import { describe, expect, it } from "vitest";
import type { Arm } from "../../bench/arm.ts";
import { armByLabel } from "../../bench/arms/by-label.ts";
import { readOptions } from "../../bench/options.ts";
import { durationText, estimateS } from "../../bench/plan.ts";
import { armsFor, chosen, QUICK_ARMS, SYSTEM, SYSTEM_ARMS } from "../../bench/suite.ts";

const estimateOf = (argv: readonly string[], arms: readonly Arm[]): number => {
  const options = readOptions(argv);
  if (options.verb === "help" || options.verb === "publish") throw new Error("no run");
  const { modes, workloads, rounds, seconds } = options;
  const steps = modes.flatMap((mode) =>
    workloads.map((workload) => ({ mode, workload, arms: armsFor(workload, arms) })),
  );
  return estimateS(steps, rounds, seconds);
};

describe("plan", () => {
  const arms = SYSTEM_ARMS.split(",").map(armByLabel);

  it("has every workload that this kind of machine can run", () => {
    const wanted = [...Array.from({ length: 10 }, (_, n) => `W${n + 1}`), "W13"];
    expect([...new Set(SYSTEM.map(({ id }) => id))]).toEqual(wanted);
  });

  it("gives no two workloads one name", () => {
    const names = SYSTEM.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it("runs all of them on all arms within an hour", () => {
    expect(estimateOf(["system"], arms)).toBeLessThan(55 * 60);
  });

  it("has a quick look of less than two minutes", () => {
    expect(estimateOf(["quick"], QUICK_ARMS.split(",").map(armByLabel))).toBeLessThan(100);
  });

  it("measures every tier with the headline workload and the core arms with the others", () => {
    const labels = (name: string) => armsFor(chosen(SYSTEM, [name])[0]!, arms).map(({ label }) => label);
    expect(labels("W1")).toEqual(SYSTEM_ARMS.split(","));
    expect(labels("W10")).toEqual(["vtepd", "floor", "kernel"]);
  });

  it("takes W1 for a number, not for the beginning of W10 and W13", () => {
    expect(chosen(SYSTEM, ["W1"]).map(({ id }) => id)).toEqual(["W1"]);
    expect(chosen(SYSTEM, ["lossfree frame=64"]).map(({ id }) => id)).toEqual(["W4"]);
  });

  it("says how long it takes", () => {
    expect([durationText(95), durationText(3000)]).toEqual(["95 s", "50 min"]);
  });
});

describe("options", () => {
  it("refuse what they do not know", () => {
    for (const argv of [["fast"], ["quick", "--modes", "wire"], ["quick", "--rounds", "0"], ["publish"]]) {
      expect(() => readOptions(argv)).toThrow("expected");
    }
    expect(() => readOptions(["system", "--workloads", "W99"])).toThrow("W99");
  });
});
