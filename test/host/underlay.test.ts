/**
 *   left 192.0.2.1 --- 192.0.2.254 router 198.51.100.254 --- 198.51.100.1 right, whose link takes 1300 bytes
 */
import { afterEach, expect, it } from "vitest";
import { type RouteQuestion, Survey } from "../../src/host/underlay.ts";
import { Lab } from "../support/lab.ts";

let lab: Lab;
afterEach(() => lab.close());

const to = (remote: string, link?: string): RouteQuestion => ({ remote, link, mark: 0 });

const network = () => {
  lab = Lab.create();
  const [left, router, right] = ["left", "router", "right"].map((label) => lab.host(label));
  lab.wire(left!, "eth0", router!, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.254/24"] });
  lab.wire(router!, "eth1", right!, "eth0", { mtu: 1300, addresses: ["198.51.100.254/24", "198.51.100.1/24"] });
  router!.sysctl("net.ipv4.ip_forward", 1);
  left!.ip("route", "add", "198.51.100.0/24", "via", "192.0.2.254");
  right!.ip("route", "add", "default", "via", "198.51.100.254");
  return left!;
};

it("answers each question by itself, whatever is wrong with the others", async () => {
  const left = network();
  left.ip("route", "add", "203.0.113.0/24", "via", "192.0.2.254", "mtu", "1400");
  const routes = [to("192.0.2.2"), to("10.9.9.9"), to("203.0.113.1"), to("203.0.113.1", "eth7"), to("2001:db8::1")];
  const survey = await Survey.take(left.netns, {
    routes,
    interfaces: ["eth7", "eth0"],
    addresses: ["192.0.2.1", "192.0.2.9"],
    memberships: [
      { link: "eth7", group: "224.0.0.1" },
      { link: "eth0", group: "224.0.0.1" },
    ],
  });
  expect(survey.route(routes[0]!)).toMatchObject({ source: "192.0.2.1", mtu: 1500, device: { ifname: "eth0" } });
  expect(() => survey.route(routes[1]!)).toThrow("Network is unreachable");
  expect(survey.route(routes[2]!).mtu).toBe(1400);
  expect(() => survey.route(routes[3]!)).toThrow("eth7");
  expect(() => survey.route(routes[4]!)).toThrow("2001:db8::1");
  expect(survey.interface("eth0").mtu).toBe(1500);
  expect(() => survey.interface("eth7")).toThrow(`the network namespace ${left.netns} has none`);
  expect([survey.mtuOfAddress("192.0.2.1"), survey.mtuOfAddress("192.0.2.9")]).toEqual([1500, undefined]);
  expect(survey.isMember({ link: "eth0", group: "224.0.0.1" })).toBe(true);
  expect(survey.isMember({ link: "eth0", group: "239.1.1.1" })).toBe(false);
  expect(survey.isMember({ link: "eth7", group: "224.0.0.1" })).toBeUndefined();
});

it("takes no path MTU that the kernel has learned for that of the route", async () => {
  const left = network();
  left.exec("ping", ["-c", "2", "-i", "0.1", "-W", "1", "-M", "do", "-s", "1400", "198.51.100.1"]);
  expect(left.ip("route", "get", "198.51.100.1")).toContain("mtu 1300");
  const route = to("198.51.100.1");
  const questions = { routes: [route], interfaces: [], addresses: [], memberships: [] };
  expect((await Survey.take(left.netns, questions)).route(route).mtu).toBe(1500);
  left.ip("route", "change", "198.51.100.0/24", "via", "192.0.2.254", "mtu", "1450");
  left.exec("ping", ["-c", "2", "-i", "0.1", "-W", "1", "-M", "do", "-s", "1400", "198.51.100.1"]);
  expect((await Survey.take(left.netns, questions)).route(route).mtu).toBe(1450);
});

it("says which namespace is missing", async () => {
  lab = Lab.create();
  const questions = { routes: [to("192.0.2.2")], interfaces: [], addresses: [], memberships: [] };
  await expect(Survey.take("nowhere", questions)).rejects.toMatchObject({ code: "ERR_NETNS_NOT_FOUND" });
});
