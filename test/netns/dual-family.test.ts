/**
 * One tunnel with remote VTEPs of both families.
 *
 *   both  vtepd                 192.0.2.1, 2001:db8::1
 *   four  the kernel's vxlan    192.0.2.2
 *   six   the kernel's vxlan    2001:db8::3
 */
import { afterEach, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { requests } from "../support/requests.ts";

let lab: Lab;
afterEach(() => lab.close());

const setUp = async (locals: string) => {
  lab = Lab.create();
  const [both, four, six] = [lab.host("both"), lab.host("four"), lab.host("six")];
  lan(lab, [
    { host: both, addresses: ["192.0.2.1/24", "2001:db8::1/64"] },
    { host: four, addresses: ["192.0.2.2/24"] },
    { host: six, addresses: ["2001:db8::3/64"] },
  ]);
  four.ip("link", "add", "ov0", "type", "vxlan", ..."id 42 dstport 4789 remote 192.0.2.1 dev eth0".split(" "));
  four.address("ov0", "10.42.0.2/24");
  six.ip("link", "add", "ov0", "type", "vxlan", ..."id 42 dstport 4789 remote 2001:db8::1 dev eth0".split(" "));
  six.address("ov0", "10.42.0.3/24");
  const daemon = await RunningDaemon.start(
    both,
    `{ ov0: { mode: vxlan, id: 42, ${locals} flood: [192.0.2.2, "2001:db8::3"], addresses: [10.42.0.1/24] } }`,
  );
  return { both, four, six, daemon };
};

it.each([
  ["configured", 'local: [192.0.2.1, "2001:db8::1"],'],
  ["found by route", ""],
])("an IPv4 and an IPv6 remote VTEP both get floods and are learned; local addresses %s", async (_how, locals) => {
  const { both, four, six, daemon } = await setUp(locals);
  for (const [from, to] of [
    [both, 2],
    [both, 3],
    [four, 1],
    [six, 1],
  ] as const) {
    const said = from.run("ping", [...requests(2), `10.42.0.${to}`]);
    expect(said).toContain("2 received, 0% packet loss");
  }
  const macOf = (host: typeof both): string => host.ipJson("link", "show", "ov0")[0].address as string;
  expect(daemon.learned("ov0")).toEqual([`${macOf(four)} 192.0.2.2`, `${macOf(six)} 2001:db8::3`].sort());
  // The larger overhead counts: 1500 - 70.
  expect(both.ipJson("link", "show", "ov0")[0].mtu).toBe(1430);
  const { local, local6 } = daemon.json<{ linkinfo: { info_data: { local: string; local6: string } } }[]>(
    "-d",
    "link",
    "show",
  )[0]!.linkinfo.info_data;
  expect([local, local6]).toEqual(["192.0.2.1", "2001:db8::1"]);
});

it("refuses, without a local address of that family, a static entry over the control socket", async () => {
  lab = Lab.create();
  const host = lab.host("left");
  lab.wire(host, "eth0", lab.host("right"), "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  const daemon = await RunningDaemon.start(
    host,
    "{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2 } }",
  );
  const before = daemon.fdb("ov0");
  const { status, stderr } = daemon.vtepctl("fdb", "add", "02:00:00:00:00:05", "dev", "ov0", "dst", "2001:db8::9");
  expect(status).toBe(1);
  expect(stderr).toContain("dst: expected an IPv4 address as the local address 192.0.2.1 is one, got 2001:db8::9");
  expect(daemon.fdb("ov0")).toEqual(before);
});
