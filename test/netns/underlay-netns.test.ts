/**
 *   overlay (namespace): ov0 10.42.0.1   home: vtepd   under (namespace): eth0 192.0.2.1 === 192.0.2.2 right: the kernel's vxlan
 */
import { afterEach, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { Lab } from "../support/lab.ts";
import { within } from "../support/recovery.ts";
import { transfer } from "../support/transfer.ts";
import { waitFor } from "../support/wait-for.ts";

let lab: Lab;
afterEach(() => lab.close());

it.each([
  ["a local address found by route", ""],
  ["a link", "link: eth0,"],
])("the device, the daemon and the underlay may be in three namespaces; %s", async (_what, keys) => {
  lab = Lab.create();
  const [home, overlay, under, right] = ["home", "overlay", "under", "right"].map((label) => lab.host(label)) as [
    ReturnType<Lab["host"]>,
    ReturnType<Lab["host"]>,
    ReturnType<Lab["host"]>,
    ReturnType<Lab["host"]>,
  ];
  lab.wire(under, "eth0", right, "eth0", { mtu: 1400, addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  right.ip("link", "add", "ov0", "type", "vxlan", ..."id 42 dstport 4789 remote 192.0.2.1 dev eth0".split(" "));
  right.address("ov0", "10.42.0.2/24");
  const daemon = await RunningDaemon.start(
    home,
    `{ ov0: { mode: vxlan, id: 42, remote: 192.0.2.2, ${keys} netns: ${overlay.netns}, underlay-netns: ${under.netns}, addresses: [10.42.0.1/24] } }`,
  );
  const { sent, received } = await transfer(overlay, right, "10.42.0.2", 2_000_000);
  expect(received).toBe(sent);
  expect(overlay.ipJson("link", "show", "ov0")[0].mtu).toBe(1350);
  expect(home.run("ss", ["-Hlun"])).not.toContain("4789");
  expect(under.run("ss", ["-Hlun"])).toContain("192.0.2.1");
  expect(daemon.vtepctl("-d", "link", "show").stdout).toContain(`underlay-netns ${under.netns}`);
});

it("refuses an underlay interface that is not in that namespace", async () => {
  lab = Lab.create();
  const [home, under] = [lab.host("home"), lab.host("under")];
  lab.wire(home, "eth0", lab.host("right"), "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  const daemon = RunningDaemon.launch(
    home,
    `{ ov0: { mode: vxlan, id: 42, remote: 192.0.2.2, link: eth0, underlay-netns: ${under.netns} } }`,
  );
  expect(await daemon.child.exited).toMatchObject({ code: 2 });
  expect(daemon.child.stderr).toContain(
    `ERR_INTERFACE_NOT_FOUND: expected an underlay interface named eth0, the network namespace ${under.netns} has none`,
  );
});

it.each([
  ["after its loss was noticed", true],
  ["before anybody has noticed", false],
])("the underlay's namespace is made again under its name, %s", async (_what, isNoticed) => {
  lab = Lab.create();
  const [home, under, right] = [lab.host("home"), lab.host("under"), lab.host("right")];
  const wire = (): void => lab.wire(under, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  wire();
  right.ip("link", "add", "ov0", "type", "vxlan", ..."id 42 dstport 4789 local 192.0.2.2 remote 192.0.2.1".split(" "));
  right.address("ov0", "10.42.0.2/24");
  const keys = `local: 192.0.2.1, remote: 192.0.2.2, underlay-netns: ${under.netns}, addresses: [10.42.0.1/24]`;
  const daemon = await RunningDaemon.start(home, `{ ov0: { mode: vxlan, id: 42, ${keys} } }`);
  const answers = (): boolean => home.exec("ping", ["-c", "1", "-W", "0.2", "10.42.0.2"]).status === 0;
  const entries = (): string[] => daemon.fdb("ov0").map(({ mac, dst, state }) => `${mac} ${dst} ${state}`);
  await waitFor(answers, { what: "the first answer" });
  const before = entries();
  under.remove();
  if (isNoticed) {
    await within(() => daemon.child.stdout.includes("ERR_NETNS_NOT_FOUND"), "a line in the log");
  }
  home.ip("netns", "add", under.netns);
  right.ip("link", "del", "eth0"); // the old one's other end
  wire();
  await within(answers, "an answer");
  await daemon.child.waitForOutput(isNoticed ? /underlay is back/ : /underlay (has changed|is back)/);
  expect(daemon.child.stdout.match(/underlay is back|underlay has changed/g)).toHaveLength(1);
  expect(entries()).toEqual(before);
});
