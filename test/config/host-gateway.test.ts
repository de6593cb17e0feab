import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";

const read = (keys: string) => parseConfig(`version: 1\ntunnels: { cbr: { mode: host-gw, ${keys} } }\n`, "vtepd.yaml");

describe("mode host-gw", () => {
  it("becomes routes on a link, and no tunnel", () => {
    const { tunnels, hostGateways } = read("link: eth0, routes: [{ to: 10.244.2.0/24, via: 192.0.2.2 }]");
    expect(tunnels).toEqual([]);
    expect(hostGateways).toEqual([{ name: "cbr", link: "eth0", routes: [{ to: "10.244.2.0/24", via: "192.0.2.2" }] }]);
  });

  it.each([
    ["no link", "routes: []", "ERR_CONFIG_VALUE", /tunnels\.cbr\.link/],
    ["no routes", "link: eth0", "ERR_CONFIG_VALUE", /tunnels\.cbr\.routes/],
    ["a key of tunnels", "link: eth0, routes: [], remote: 192.0.2.2", "ERR_CONFIG_KEY", /tunnels\.cbr\.remote/],
    [
      "bits behind the prefix",
      "link: eth0, routes: [{ to: 10.244.2.1/24, via: 192.0.2.2 }]",
      "ERR_CONFIG_VALUE",
      /the network is 10\.244\.2\.0\/24/,
    ],
    [
      "a network twice",
      "link: eth0, routes: [{ to: 10.2.0.0/16, via: 192.0.2.2 }, { to: 10.2.0.0/16, via: 192.0.2.3 }]",
      "ERR_CONFIG_CONFLICT",
      /routes\[1\]\.to: expected each network once/,
    ],
    [
      "a next hop of the other family",
      'link: eth0, routes: [{ to: 10.2.0.0/16, via: "2001:db8::2" }]',
      "ERR_CONFIG_CONFLICT",
      /routes\[0\]\.via: expected a next hop of the family of 10\.2\.0\.0\/16/,
    ],
  ])("is refused with %s", (_what, keys, code, message) => {
    expect(() => read(keys)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });
});
