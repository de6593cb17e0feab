/** A control server over a FakeVtep on a socket in a directory of its own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ControlLimits, startControl } from "../../src/control/server.ts";
import { FakeChanges } from "./fake-changes.ts";
import { FakeDesired } from "./fake-desired.ts";
import { FakeVtep, FLOOD_MAC, fakeLink } from "./fake-vtep.ts";
import { captureLog, type LogLine } from "./log-capture.ts";

export interface ControlFixture {
  readonly socket: string;
  readonly directory: string;
  readonly service: FakeVtep;
  readonly desired: FakeDesired;
  readonly lines: LogLine[];
  close(): Promise<void>;
}

export const temporaryDirectory = (): string => mkdtempSync(join(tmpdir(), "vtepd-test-"));

/** Two tunnels: vx42 bound to eth0 with one remote, vx43 over IPv6 without learning. */
export const twoTunnels = (): FakeVtep => {
  const service = new FakeVtep();
  service.addLink(fakeLink("vx42", { remote: "192.0.2.2", link: "eth0" }), {
    rxFrames: 7,
    rxBytes: 700,
    txFrames: 9,
    txBytes: 900,
    floodedFrames: 2,
    fdbLearns: 3,
    fdbMoves: 1,
    drops: { encap: { ip_outnoroutes: 2, tx_error: 3, no_tx_target: 4 }, decap: { hdr_trunc: 5, unknown_vtep: 6 } },
    remotes: [
      {
        address: "192.0.2.2",
        port: 4789,
        vni: 42,
        fdbLearned: 1,
        pathMtu: 1500,
        rxFrames: 7,
        rxBytes: 700,
        txFrames: 9,
        txBytes: 900,
      },
    ],
  });
  service.addLink(
    fakeLink("vx43", {
      ifindex: 5,
      vni: 43,
      locals: ["2001:db8::1"],
      port: 4790,
      macAddress: "02:00:00:00:00:02",
      mtu: 1430,
      learning: false,
      fdbLimit: 0,
      netns: "blue",
      queues: 2,
    }),
  );
  service.changeFdb("vx42", "append", { mac: FLOOD_MAC, dst: "192.0.2.2" }, "config");
  service.changeFdb("vx42", "add", { mac: "02:00:00:00:00:05", dst: "192.0.2.2", port: 4790, vni: 43 });
  service.learn("vx42", "02:00:00:00:00:06", "192.0.2.2", 1, 20);
  service.changeFdb("vx43", "add", { mac: "02:00:00:00:00:07", dst: "2001:db8::9" }, "config");
  service.socketStats = [{ socket: "192.0.2.1:4789", drops: { vxlan_vni_not_found: 8 } }];
  return service;
};

export const controlFixture = async (
  service: FakeVtep = twoTunnels(),
  limits: Partial<ControlLimits> = {},
): Promise<ControlFixture> => {
  const directory = temporaryDirectory();
  const socket = join(directory, "control.sock");
  const { log, lines } = captureLog();
  const desired = new FakeDesired(service);
  const server = await startControl({
    socket,
    service,
    desired,
    changes: new FakeChanges(service, desired),
    metrics: async () => "vtepd_test 1\n",
    log,
    limits,
  });
  return {
    socket,
    directory,
    service,
    desired,
    lines,
    close: async () => {
      await server.close();
      rmSync(directory, { recursive: true });
    },
  };
};
