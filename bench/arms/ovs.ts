/**
 * Open vSwitch with its userspace datapath: the other way to have VXLAN without a kernel module. Two bridges: `br-phy` has
 * the underlay device and its address, because that datapath looks its routes up among its own ports; `ov0` has the
 * tunnel, and its internal port is the overlay device.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "../../test/support/host.ts";
import { waitFor } from "../../test/support/wait-for.ts";
import { type Arm, type ArmContext, type End, OVERLAY_DEV, UNDERLAY_DEV, VNI, type Vtep, VXLAN_PORT } from "../arm.ts";
import { missingProgram } from "../installed.ts";
import { scratchFolder } from "../scratch.ts";
import { Unfit } from "../unfit.ts";
import type { ArmLabel } from "./label.ts";

const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";
const PHYSICAL = "br-phy";
const QUIET = "-vconsole:off";

const bridge = (name: string): string[] => {
  return ["--", "add-br", name, "--", "set", "bridge", name, "datapath_type=netdev", "fail-mode=standalone"];
};

const tunnel = (index: number, remote: string): string[] => {
  const port = `vx${index}`;
  const options = { remote_ip: remote, key: VNI, dst_port: VXLAN_PORT, csum: true };
  const words = Object.entries(options).map(([key, value]) => `options:${key}=${value}`);
  return ["--", "add-port", OVERLAY_DEV, port, "--", "set", "interface", port, "type=vxlan", ...words];
};

const refuse = ({ mode, topology, setUp }: ArmContext): void => {
  if (setUp.fdbRoom > 0) throw new Unfit("its FDB has 8192 entries unless told otherwise");
  if (mode === "virtual" && topology === "receiver")
    throw new Unfit("it drops datagrams with unfinished outer checksums");
};

const start = async (host: Host, end: End, context: ArmContext): Promise<Vtep> => {
  refuse(context);
  const { place, setUp } = context;
  const folder = scratchFolder();
  const env = { OVS_RUNDIR: folder, OVS_LOGDIR: folder, OVS_DBDIR: folder, OVS_SYSCONFDIR: folder };
  const database = join(folder, "conf.db");
  const socket = join(folder, "db.sock");
  const file = (name: string): string[] => [`--unixctl=${join(folder, `${name}.ctl`)}`, QUIET];
  const set = (...words: readonly string[]): string =>
    host.run("ovs-vsctl", [`--db=unix:${socket}`, "--timeout=10", ...words], { env });

  execFileSync("ovsdb-tool", ["create", database, SCHEMA], { stdio: "pipe" });
  host.spawn("ovsdb-server", [database, `--remote=punix:${socket}`, ...file("db")], { env });
  await waitFor(() => existsSync(socket), { what: "ovsdb-server" });
  set("--no-wait", "init");
  const [command, ...args] = place(["ovs-vswitchd", `unix:${socket}`, ...file("switch"), "--disable-system"]);
  const daemon = host.spawn(command, args, { env });
  // It is a member of the first bridge from now on, and must not answer for itself.
  host.ip("address", "flush", "dev", UNDERLAY_DEV);
  set(...bridge(PHYSICAL), "--", "add-port", PHYSICAL, UNDERLAY_DEV);
  const remotes = setUp.floodList.length > 0 ? setUp.floodList : [end.remote];
  const mtu = ["--", "set", "interface", OVERLAY_DEV, `mtu_request=${setUp.overlayMtu}`];
  set(...bridge(OVERLAY_DEV), ...mtu, ...remotes.flatMap((remote, index) => tunnel(index, remote)));
  host.address(PHYSICAL, `${end.local}/24`);
  host.address(OVERLAY_DEV, end.overlay);
  return { pids: [daemon.pid] };
};

export const ovsArm = ({ text }: ArmLabel): Arm => ({
  label: text,
  role: "context",
  speaksVxlan: true,
  refusal: () =>
    missingProgram("ovs-vswitchd", "openvswitch-switch") ?? missingProgram("ovsdb-server", "openvswitch-switch"),
  start,
});
