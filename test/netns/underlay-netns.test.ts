/**
 *   overlay (namespace): ov0 10.42.0.1   home: vtepd   under (namespace): eth0 192.0.2.1 === 192.0.2.2 right: the kernel's vxlan
 */
import { afterEach, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { Lab } from "../support/lab.ts";
import { transfer } from "../support/transfer.ts";

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
