/** `type vxlan` and `type geneve`, in the words and the order of iproute2's iplink_vxlan.c and iplink_geneve.c. */
import { integer, number, oneOf, orWord } from "./check.ts";
import type { LinkType, Settings, TypeWord } from "./link-type.ts";
import {
  devWord,
  flowLabelWord,
  groupWord,
  implied,
  localWord,
  member,
  refused,
  remoteWord,
  setting,
  toggle,
  tosWord,
  ttlWord,
} from "./type-word.ts";

const MAX_VNI = 0xffffff;
/** Most FDB entries that the configuration lets a tunnel have. */
const MAX_ENTRIES = 1_048_576;
/** What the kernel takes when nobody says another. */
const LINUX_VXLAN_PORT = 8472;
const DF = ["unset", "set", "inherit"];
const EXTERNAL = "tunnels by metadata (external) are the kernel's own: give id, local and remote";

const idWord = (): TypeWord =>
  setting(["id", "vni"], "id", { placeholder: "VNI", check: number(0, MAX_VNI, "invalid id") }, Number);

const dfWord = (): TypeWord =>
  setting(
    ["df"],
    "do-not-fragment",
    { placeholder: "{ unset | set | inherit }", check: oneOf(DF, "df must be unset, set or inherit"), choices: DF },
    (text) => (text === "inherit" ? text : text === "set"),
  );

const udpPort = { placeholder: "PORT", check: number(0, 65_535, "invalid port") };

const dstportWord = (fallback: number): TypeWord =>
  setting(["dstport"], "port", udpPort, (text) => Number(text) || fallback);

/** MIN 0 is iproute2's way of saying that the host may choose. */
const srcportWord: TypeWord = {
  names: ["srcport", "port"],
  values: [
    { ...udpPort, placeholder: "MIN" },
    { ...udpPort, placeholder: "MAX" },
  ],
  set: (settings, [min, max]) => {
    if (Number(min) === 0) delete settings["port-range"];
    else settings["port-range"] = [Number(min), Number(max)];
  },
};

const checksumWords = (): TypeWord[] => [
  member("udpcsum", "checksums", "udp", ["udp"]),
  member("udp6zerocsumtx", "checksums", "zero-udp6-tx", ["udp"]),
  member("udp6zerocsumrx", "checksums", "zero-udp6-rx", ["udp"]),
];

const namePort = (settings: Settings): readonly string[] => {
  if (settings["port"] !== undefined) return [];
  settings["port"] = LINUX_VXLAN_PORT;
  return [
    `vxlan: no dstport: taking ${LINUX_VXLAN_PORT} as Linux does. "dstport 4789" is IANA's port, "dstport 0" this one without a word`,
  ];
};

const NONE = ["none"];
const UNLIMITED = ["unlimited"];

export const vxlan: LinkType = {
  name: "vxlan",
  modes: ["vxlan"],
  required: ["id"],
  isOnce: true,
  initial: { mode: "vxlan" },
  words: [
    idWord(),
    groupWord(),
    remoteWord(["remote"], 0),
    localWord(0),
    devWord(),
    ttlWord(["ttl", "hoplimit"], ["auto", "inherit"]),
    tosWord(["tos", "dsfield"]),
    dfWord(),
    flowLabelWord(["label", "flowlabel"]),
    setting(
      ["ageing"],
      "ageing",
      { placeholder: "SECONDS", check: orWord(integer(0, 0x7fffffff, "ageing timer"), NONE), choices: NONE },
      (text) => (text === "none" ? text : Number(text)),
    ),
    setting(
      ["maxaddress"],
      "limit",
      { placeholder: "NUMBER", check: orWord(number(0, MAX_ENTRIES, "max addresses"), UNLIMITED), choices: UNLIMITED },
      (text) => Number(text) || MAX_ENTRIES,
    ),
    srcportWord,
    dstportWord(LINUX_VXLAN_PORT),
    toggle("learning", "mac-learning"),
    toggle("proxy", "arp-proxy"),
    refused(["rsc"], "route short circuit is the kernel's; for answers to ARP there is proxy"),
    member("l2miss", "notifications", "l2-miss"),
    member("l3miss", "notifications", "l3-miss"),
    ...checksumWords(),
    refused(["remcsumtx"], "remote checksum offload is only understood by Linux and not by vtepd"),
    refused(["remcsumrx"], "remote checksum offload is only understood by Linux and not by vtepd"),
    refused(["external"], EXTERNAL),
    refused(["gbp"], "group policy ids are not written, and ignored when they come"),
    refused(["gpe"], "the generic protocol extension is not spoken"),
    refused(["vnifilter"], "it is for external devices, which vtepd has not: a tunnel for each VNI"),
    { ...implied("localbypass"), isSwitch: true },
    refused(["mcroute"], "multicast routing of what a group gets is the kernel's"),
    refused(["reserved_bits"], "reserved bits are ignored and counted (RFC 7348)"),
  ],
  complete: namePort,
};

export const geneve: LinkType = {
  name: "geneve",
  modes: ["geneve"],
  required: ["id"],
  isOnce: true,
  initial: { mode: "geneve" },
  words: [
    idWord(),
    remoteWord(["remote"], 0),
    localWord(0),
    devWord(),
    ttlWord(["ttl", "hoplimit"], ["auto", "inherit"]),
    tosWord(["tos", "dsfield"]),
    dfWord(),
    flowLabelWord(["label", "flowlabel"]),
    dstportWord(6081),
    refused(["external"], EXTERNAL),
    ...checksumWords(),
    refused(["innerprotoinherit"], "Geneve tunnels of vtepd carry Ethernet frames"),
  ],
};
