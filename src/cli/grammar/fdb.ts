/** `fdb`, in the words of `bridge fdb`. */
import { isName, isSeconds, oneOf } from "./check.ts";
import { DELETE, dev, dst, mac, port, requiredDev, requiredDst, SHOW, via, vni } from "./shared-values.ts";
import type { CommandObject, Reasons, Verb } from "./table.ts";
import type { Value } from "./value.ts";

const states = (names: readonly string[]): Value => ({
  key: "state",
  placeholder: `{ ${names.join(" | ")} }`,
  check: oneOf(names, "invalid state"),
  choices: names,
});
const idle: Value = { key: "idle", placeholder: "SECONDS", check: isSeconds };
const age: Value = { key: "age", placeholder: "SECONDS", check: isSeconds };
const bridge: Value = { key: "br", placeholder: "BRDEV", check: isName, choices: "interface" };
const portDev: Value = { ...dev, aliases: ["brport"] };

/** What an entry may be asked for that never leaves one of ours without. */
const IMPLIED = [["self"], ["permanent", "static", "local"]] as const;
const MASTER = '"master" is the FDB of a Linux bridge, which is not vtepd\'s: use `bridge fdb ... master`';
const VLAN = '"vlan" is of a bridge with VLANs: entries of vtepd are the same in all';
const SRC_VNI = '"src_vni" is for devices with many VNIs (external), which vtepd has not';
const NHID = '"nhid" names a group of next hops in the kernel: give dst';
const BRIDGE_FLAG = "is a flag of a Linux bridge's entries";

const REFUSED: Reasons = {
  master: MASTER,
  dynamic: '"dynamic" entries are learned from frames only: make a static one',
  temp: '"temp" entries are learned from frames only: make a static one',
  vlan: VLAN,
  src_vni: SRC_VNI,
  nhid: NHID,
  router: '"router" is for route short circuits (rsc), which vtepd does not make',
  activity_notify: `"activity_notify" ${BRIDGE_FLAG}`,
  inactive: `"inactive" ${BRIDGE_FLAG}`,
  norefresh: `"norefresh" ${BRIDGE_FLAG}`,
};
const NOT_SELECTING = "does not select an entry to delete: give LLADDR, dev and dst";

const change = (name: string): Verb => ({
  names: [name],
  operand: mac,
  values: [requiredDev, requiredDst, port, vni, via],
  flags: ["sticky", "use", "extern_learn"],
  implied: IMPLIED,
  refused: REFUSED,
});

const show: Verb = {
  names: SHOW,
  values: [
    portDev,
    bridge,
    dst,
    states(["permanent", "static", "reachable", "stale", "learned", "all"]),
    { ...mac, required: false },
  ],
  flags: ["dynamic"],
  refused: { vlan: VLAN, master: MASTER },
};

export const fdb: CommandObject = {
  name: "fdb",
  summary: "forwarding database",
  verbs: [
    show,
    change("add"),
    change("append"),
    change("replace"),
    {
      names: DELETE,
      operand: mac,
      values: [requiredDev, dst],
      implied: IMPLIED,
      refused: {
        master: MASTER,
        vlan: VLAN,
        src_vni: SRC_VNI,
        nhid: NHID,
        port: `"port" ${NOT_SELECTING}`,
        vni: `"vni" ${NOT_SELECTING}`,
        via: `"via" ${NOT_SELECTING}`,
      },
    },
    {
      names: ["get"],
      operand: { ...mac, aliases: ["to"] },
      values: [{ ...requiredDev, aliases: ["brport"] }, vni],
      flags: ["dynamic"],
      implied: [["self"]],
      refused: { master: MASTER, vlan: VLAN, br: MASTER },
    },
    {
      names: ["flush"],
      values: [
        { ...requiredDev, aliases: ["brport"] },
        { ...mac, required: false },
        dst,
        port,
        vni,
        states(["learned", "static", "all"]),
        idle,
        age,
      ],
      flags: ["dynamic", "nodynamic", "permanent", "nopermanent", "static", "nostatic"],
      implied: [["self"], ["noextern_learn"], ["nooffloaded"]],
      refused: {
        master: MASTER,
        vlan: VLAN,
        src_vni: SRC_VNI,
        nhid: NHID,
        extern_learn: "no entry of vtepd is marked so: made by hand they are permanent",
        offloaded: "no entry of vtepd is offloaded",
        sticky: "sticky does not select an entry: give lladdr",
        nosticky: "sticky does not select an entry: give lladdr",
        added_by_user: 'what a user has added is "permanent"',
        noadded_by_user: 'what no user has added is "dynamic"',
      },
    },
  ],
};
