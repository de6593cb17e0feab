import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { mistakesOf } from "./mistakes-of.ts";

const file = (...tunnels: string[]): string => `version: 1\ntunnels:\n${tunnels.map((line) => `  ${line}\n`).join("")}`;
const gre = (route: string, more = ""): string =>
  `t: { mode: gre, local: 192.0.2.1, routes: [{ to: 10.2.0.0/16, via: 192.0.2.2, ${route} }]${more} }`;
const vxlan = (route: string): string =>
  `v: { mode: vxlan, id: 1, local: 192.0.2.1, routes: [{ to: 10.2.0.0/16, via: 192.0.2.2, ${route} }] }`;

describe("direct-routing", () => {
  it("is of single routes, beside the next hop in the overlay", () => {
    const { tunnels } = parseConfig(
      file(gre("direct-routing: true"), vxlan("gateway: 10.42.0.2").replace("10.2", "10.3")),
      "vtepd.yaml",
    );
    expect(tunnels.map(({ routes }) => routes)).toEqual([
      [{ to: "10.2.0.0/16", via: "192.0.2.2", gateway: undefined, mayBeDirect: true }],
      [{ to: "10.3.0.0/16", via: "192.0.2.2", gateway: "10.42.0.2", mayBeDirect: false }],
    ]);
  });

  it.each([
    [
      "a next hop in an overlay without Ethernet",
      file(gre("gateway: 10.42.0.2")),
      /routes\[0\]\.gateway: expected no next hop in the overlay as mode gre carries IP packets, got 10\.42\.0\.2/,
    ],
    [
      "a next hop of another family",
      file(vxlan('gateway: "fd00:42::2"')),
      /routes\[0\]\.gateway: expected a next hop of the family of 10\.2\.0\.0\/16, got fd00:42::2/,
    ],
    [
      "a network that cannot be routed to that VTEP",
      file('s: { mode: sit, local: 192.0.2.1, routes: [{ to: "fd00:2::/64", via: 192.0.2.2, direct-routing: true }] }'),
      /routes\[0\]\.direct-routing: expected a network and a remote VTEP of one family.*, got fd00:2::\/64/,
    ],
    [
      "a device in another namespace than its underlay",
      file(gre("direct-routing: true", ", netns: blue")),
      /direct-routing: expected the device in the namespace of the underlay, .*: tunnels\.t\.netns/,
    ],
    [
      "the network of the device itself",
      file(gre("direct-routing: true", ", addresses: [10.2.0.1/16]")),
      /direct-routing: expected a network that the device has no address in, .*: tunnels\.t\.addresses\[0\]/,
    ],
    [
      "a network that another tunnel has, too",
      file(gre("direct-routing: true"), vxlan("gateway: 10.42.0.2")),
      /tunnels\.v\.routes\[0\]\.to: expected each network in one tunnel, got 10\.2\.0\.0\/16 again: tunnels\.t\.routes\[0\]\.to/,
    ],
    [
      "a network of a host-gw",
      file(
        vxlan("direct-routing: true"),
        "h: { mode: host-gw, link: eth0, routes: [{ to: 10.2.0.0/16, via: 192.0.2.3 }] }",
      ),
      /tunnels\.h\.routes\[0\]\.to: expected each network in one tunnel/,
    ],
  ])("is refused with %s", (_what, text, message) => {
    const { code, lines } = mistakesOf(text);
    expect([code, lines]).toEqual(["ERR_CONFIG_CONFLICT", [expect.stringMatching(message)]]);
  });
});
