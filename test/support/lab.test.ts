import { existsSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { Lab } from "./lab.ts";

const refusal = Lab.refusal();

describe.skipIf(refusal)(`lab${refusal === undefined ? "" : ` (skipped: ${refusal})`}`, () => {
  let lab = Lab.create();
  afterEach(async () => {
    await lab.close();
    lab = Lab.create();
  });

  const pair = (mode: "wire-like" | "virtual") => {
    const left = lab.host("left");
    const right = lab.host("right");
    lab.wire(left, "eth0", right, "eth0", { mode, mtu: 1400, addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
    left.address("eth0", "2001:db8::1/64");
    right.address("eth0", "2001:db8::2/64");
    return { left, right };
  };

  it("makes two hosts that reach each other at once over IPv4 and IPv6", () => {
    const { left } = pair("wire-like");
    expect(left.exec("ping", ["-c", "1", "-W", "1", "192.0.2.2"]).status).toBe(0);
    expect(left.exec("ping", ["-c", "1", "-W", "1", "2001:db8::2"]).status).toBe(0);
    expect(left.ipJson("link", "show", "eth0")[0].mtu).toBe(1400);
  });

  it.each([
    ["wire-like", "off"],
    ["virtual", "on"],
  ] as const)("gives both ends of a %s wire segmentation and checksum offload %s", (mode, state) => {
    const { left, right } = pair(mode);
    for (const host of [left, right]) {
      const features = host.run("ethtool", ["-k", "eth0"]);
      expect(features).toMatch(new RegExp(`^tcp-segmentation-offload: ${state}`, "m"));
      expect(features).toMatch(new RegExp(`^tx-checksumming: ${state}`, "m"));
    }
  });

  it("removes its namespaces and stops its programs when it is closed", async () => {
    const { left } = pair("virtual");
    const program = left.spawn("sleep", ["60"]);
    expect(existsSync(left.path)).toBe(true);
    await lab.close();
    expect(existsSync(left.path)).toBe(false);
    expect(await program.exited).toEqual({ code: null, signal: "SIGTERM" });
  });

  it("says what a failed command said", () => {
    const host = lab.host("left");
    expect(() => host.ip("link", "show", "nosuch")).toThrow(/left: `ip link show nosuch` ended with 1: .*nosuch/s);
    expect(host.exec("sleep", ["5"], { timeoutMs: 50 }).status).toBe(-1);
  });

  it("reports the end of a program that ends before it says what is waited for", async () => {
    const child = lab.host("left").spawn("sh", ["-c", "echo sorry; exit 3"]);
    await expect(child.waitForOutput(/ready/)).rejects.toThrow(/ended without .*sorry/s);
    expect(await child.wait(1000)).toEqual({ code: 3, signal: null });
  });
});
