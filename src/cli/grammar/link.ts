/** `link`, in the words of `ip link`. */
import { isAnything, isMac, isName, number } from "./check.ts";
import { LINK_TYPES } from "./link-types.ts";
import { DELETE, dev, requiredDev, SHOW } from "./shared-values.ts";
import type { CommandObject, Reasons } from "./table.ts";
import type { Value } from "./value.ts";

const TYPES = LINK_TYPES.map(({ name }) => name);

const type: Value = {
  key: "type",
  placeholder: "TYPE",
  check: (text) => (TYPES.includes(text) ? undefined : `Unknown device type "${text}".`),
  choices: TYPES,
};
const mtu: Value = { key: "mtu", placeholder: "MTU", check: number(68, 65_535, "invalid mtu") };
const address: Value = { key: "address", placeholder: "LLADDR", check: isMac };
/** A name, a path or the number of a process. */
const netns: Value = { key: "netns", placeholder: "{ NAME | PATH | PID }", check: isAnything, choices: "netns" };
const master: Value = { key: "master", placeholder: "DEV", check: isName, choices: "interface" };
const vrf: Value = { key: "vrf", placeholder: "DEV", check: isName, choices: "interface" };
const queueLength: Value = {
  key: "txqueuelen",
  aliases: ["txqlen", "qlen"],
  placeholder: "PACKETS",
  check: number(0, 0x7fffffff, "invalid length of a queue"),
};
const alias: Value = { key: "alias", placeholder: "TEXT", check: () => undefined };
const group: Value = { key: "group", placeholder: "GROUP", check: isAnything };

const QUEUES = "is what the daemon chooses: key `queues` of the configuration";
/** Linux takes it for every type and makes nothing of it for tunnels. */
const below: Value = { key: "link", placeholder: "DEV", check: isName, choices: "interface" };

const REFUSED_AT_ADD: Reasons = {
  index: '"index" is the kernel\'s choice',
  numtxqueues: `"numtxqueues" ${QUEUES}`,
  numrxqueues: `"numrxqueues" ${QUEUES}`,
};
const REFUSED_AT_SET: Reasons = {
  name: "the device's name is the tunnel's: delete it and add another",
  arp: "use `ip link set`",
  multicast: "use `ip link set`",
  promisc: "use `ip link set`",
  allmulticast: "use `ip link set`",
  addrgenmode: "use `ip link set`",
  xdp: "use `ip link set`",
};

export const link: CommandObject = {
  name: "link",
  summary: "tunnels",
  verbs: [
    { names: SHOW, operand: dev, values: [type, { ...master, aliases: ["vrf"] }], flags: ["up"] },
    {
      names: ["add"],
      operand: { ...requiredDev, aliases: ["name"], placeholder: "NAME", choices: [] },
      values: [mtu, address, netns, master, vrf, queueLength, alias, group, below],
      flags: ["up", "down"],
      refused: REFUSED_AT_ADD,
      types: LINK_TYPES,
      needsType: true,
    },
    {
      names: ["set", "change"],
      operand: requiredDev,
      values: [mtu, address, master, vrf, netns, queueLength, alias, group],
      flags: ["up", "down", "nomaster"],
      refused: REFUSED_AT_SET,
      types: LINK_TYPES,
    },
    { names: DELETE, operand: requiredDev, values: [type] },
    { names: ["rekey"], operand: requiredDev, values: [] },
  ],
};
