import { describe, expect, it } from "vitest";
import { networkOf } from "../../src/config/network.ts";
import { mistakesOf } from "./mistakes-of.ts";

const NETWORK = "expected a network with its prefix length, such as 10.2.0.0/16 or fd00:2::/64";

const messageOf = (to: string): string | undefined =>
  mistakesOf(
    `version: 1\ntunnels:\n  t: { mode: gre, local: 192.0.2.1, routes: [{ to: ${to}, via: 192.0.2.2 }] }\n`,
  ).lines[0]?.replace("vtepd.yaml:3:52: tunnels.t.routes[0].to: ", "");

describe("the network of a route", () => {
  it.each([
    ["10.2.0.0", `${NETWORK}, got "10.2.0.0" (the prefix length is missing; a single address has /32)`],
    ["10.2.0.1/16", `${NETWORK}, got "10.2.0.1/16" (the network is 10.2.0.0/16)`],
    ['"fd00:2::1/64"', `${NETWORK}, got "fd00:2::1/64" (the network is fd00:2::/64)`],
    ["10.2.0.0/33", `${NETWORK}, got "10.2.0.0/33" (a prefix length is 0 to 32)`],
    ["0.0.0.0/0", `${NETWORK}, got "0.0.0.0/0" (all other packets go to \`remote\`)`],
    ["default", `${NETWORK}, got "default"`],
  ])("is not %s", (to, message) => {
    expect(messageOf(to)).toBe(message);
  });

  it("is found for an address", () => {
    expect(["10.42.7.1/16", "fd00:42::1/64", "192.0.2.1/32"].map(networkOf)).toEqual([
      "10.42.0.0/16",
      "fd00:42::/64",
      "192.0.2.1/32",
    ]);
  });
});
