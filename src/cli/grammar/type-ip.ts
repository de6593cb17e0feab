/** Tunnels over IPv4 and IPv6 without UDP, in the words of iproute2's link_gre.c, link_iptnl.c, link_gre6.c, link_ip6tnl.c. */
import { number, oneOf } from "./check.ts";
import { encapWords } from "./encap-words.ts";
import type { LinkType, Settings, TypeWord } from "./link-type.ts";
import {
  devWord,
  flowLabelWord,
  fwmarkWord,
  implied,
  keyWords,
  localWord,
  nothing,
  refused,
  refusedAlone,
  remoteWord,
  setting,
  sideSwitches,
  tosWord,
  ttlWord,
} from "./type-word.ts";

const EXTERNAL = "tunnels by metadata (external) are the kernel's own: give local and remote";
/** DEFAULT_TNL_HOP_LIMIT of iproute2. */
const HOP_LIMIT = 64;
const IN_UDP = ["fou", "gue"];
const GRE_IN_UDP = [...IN_UDP, "gre-in-udp"];

/** The kernel's DF is the outer packet's own with pmtudisc, the inner packet's without. */
const pmtudisc: TypeWord = {
  names: ["pmtudisc"],
  isSwitch: true,
  values: [],
  set: (settings, _, isOn) => {
    settings["do-not-fragment"] = isOn ? true : "inherit";
  },
};

const ignoreDf: TypeWord = {
  names: ["ignore-df"],
  isSwitch: true,
  values: [],
  set: (settings, _, isOn) => {
    if (isOn) settings["do-not-fragment"] = false;
  },
};

const greWords = (): TypeWord[] => [
  ...keyWords(),
  ...sideSwitches("seq", "sequence"),
  ...sideSwitches("csum", "checksum"),
];

const overIpv4 = (): TypeWord[] => [
  pmtudisc,
  remoteWord(["remote"], 4),
  localWord(4),
  devWord(),
  ttlWord(["ttl", "hoplimit", "hlim"], ["inherit"]),
  tosWord(["tos", "tclass", "dsfield"]),
];

const overIpv6 = (): TypeWord[] => [
  remoteWord(["remote"], 6),
  localWord(6),
  devWord(),
  ttlWord(["hoplimit", "ttl", "hlim"], ["auto", "inherit"]),
  tosWord(["tclass", "tc", "tos", "dsfield"]),
  flowLabelWord(["flowlabel", "fl"]),
  {
    ...setting(["encaplimit"], "", {
      placeholder: "none",
      check: oneOf(["none"], "vtepd sends no encapsulation limit (RFC 2473): none"),
      choices: ["none"],
    }),
    set: nothing,
  },
  {
    names: ["dscp"],
    values: [{ placeholder: "inherit", check: oneOf([], "DSCP of received packets stays as it was inside") }],
    set: nothing,
  },
  refused(["allow-localremote"], "a remote VTEP is another host"),
];

const behind = (kinds: readonly string[]): TypeWord[] => [
  fwmarkWord(),
  refused(["external"], EXTERNAL),
  ...encapWords(kinds),
];

/** What the kernel takes when nobody says another. */
const IPV4_DEFAULTS: Settings = { ttl: "inherit", "do-not-fragment": true };

const greType = (name: string): LinkType => ({
  name,
  modes: [name],
  initial: { mode: name, ...IPV4_DEFAULTS },
  words: [...greWords(), ...overIpv4(), ignoreDf, ...behind(GRE_IN_UDP)],
});

const gre6Type = (name: string): LinkType => ({
  name,
  modes: [name],
  initial: { mode: name, ttl: HOP_LIMIT },
  words: [...greWords(), ...overIpv6(), ...behind(GRE_IN_UDP)],
});

/** A word whose value is a mode of the configuration by iproute2's name for it. */
const modeWord = (
  modes: Readonly<Record<string, string>>,
  without: Readonly<Record<string, string>> = {},
): TypeWord => {
  const names = Object.keys(modes);
  return {
    names: ["mode"],
    values: [
      {
        placeholder: `{ ${names.join(" | ")} }`,
        check: (text) =>
          Object.hasOwn(without, text)
            ? `mode ${text} is not supported: ${without[text]}`
            : oneOf(names, `mode is one of ${names.join(", ")}`)(text),
        choices: names,
      },
    ],
    set: (settings, [text]) => {
      settings["mode"] = modes[text!];
    },
  };
};

const MPLS = { mplsip: "MPLS is not carried" };

const ipip: LinkType = {
  name: "ipip",
  modes: ["ipip"],
  initial: { mode: "ipip", ...IPV4_DEFAULTS },
  words: [
    modeWord(
      { ipip: "ipip", "ipv4/ipv4": "ipip", ip4ip4: "ipip" },
      { ...MPLS, any: "a tunnel has one protocol: ipip" },
    ),
    ...overIpv4(),
    ...behind(IN_UDP),
  ],
};

const network = (placeholder: string) => ({
  placeholder,
  check: (text: string) => (/^[0-9a-f.:]+\/\d+$/i.test(text) ? undefined : `argument "${text}" is wrong: ADDR/LENGTH`),
});

/** 6rd and ISATAP have their remote VTEPs in the addresses behind them. */
const isAutomatic = (settings: Settings): boolean => ["6to4", "6rd", "isatap"].includes(settings["mode"] as string);

const sit: LinkType = {
  name: "sit",
  modes: ["sit", "6to4", "6rd", "isatap"],
  initial: { mode: "sit", ...IPV4_DEFAULTS },
  words: [
    modeWord(
      { ip6ip: "sit", "ipv6/ipv4": "sit" },
      { ...MPLS, ipip: "that is type ipip", ip4ip4: "that is type ipip", any: "a tunnel has one protocol: ip6ip" },
    ),
    {
      names: ["isatap"],
      values: [],
      set: (settings) => {
        settings["mode"] = "isatap";
      },
    },
    ...overIpv4(),
    {
      names: ["6rd-prefix"],
      values: [network("ADDR/LENGTH")],
      set: (settings, [prefix]) => Object.assign(settings, { mode: "6rd", prefix }),
    },
    {
      names: ["6rd-relay_prefix"],
      values: [network("ADDR/LENGTH")],
      set: (settings, [prefix]) => Object.assign(settings, { mode: "6rd", "relay-prefix": prefix }),
    },
    {
      names: ["6rd-reset"],
      values: [],
      set: (settings) => {
        settings["mode"] = "6to4";
        delete settings["prefix"];
        delete settings["relay-prefix"];
      },
    },
    ...behind(IN_UDP),
  ],
  finish: (settings) => {
    // As in the kernel: without a remote VTEP, 6to4.
    if (settings["mode"] === "sit" && settings["remote"] === undefined && settings["group"] === undefined) {
      settings["mode"] = "6to4";
    }
    if (isAutomatic(settings)) delete settings["encap"];
  },
};

const ip6tnl: LinkType = {
  name: "ip6tnl",
  modes: ["ip6tnl", "ipip6", "ip6ip6"],
  initial: { mode: "ip6tnl", ttl: HOP_LIMIT },
  words: [
    modeWord({
      ip6ip6: "ip6ip6",
      "ipv6/ipv6": "ip6ip6",
      ipip6: "ipip6",
      ip4ip6: "ipip6",
      "ip/ipv6": "ipip6",
      "ipv4/ipv6": "ipip6",
      any: "ip6tnl",
      "any/ipv6": "ip6tnl",
    }),
    ...overIpv6(),
    ...behind(IN_UDP),
  ],
};

const SESSION = { placeholder: "SESSION", check: number(0, 1023, "invalid ERSPAN session") };
const RECEIVED_ONLY = "vtepd receives mirrored frames and sends none, so this has no effect";

const erspanType = (name: string, family: 4 | 6): LinkType => ({
  name,
  modes: [name],
  initial: { mode: name, ...(family === 4 ? IPV4_DEFAULTS : { ttl: HOP_LIMIT }) },
  words: [
    setting(["key"], "session", SESSION, Number),
    ...["seq", "iseq", "oseq"].map((word) => implied(word)),
    ...(family === 4 ? overIpv4() : overIpv6()),
    fwmarkWord(),
    refused(["external"], EXTERNAL),
    {
      names: ["erspan_ver"],
      values: [{ placeholder: "{ 0 | 1 | 2 }", check: oneOf(["0", "1", "2"], "erspan version must be 0, 1 or 2") }],
      set: (settings, [version]) => {
        if (version === "0") delete settings["session"];
      },
    },
    {
      ...implied("erspan", [{ placeholder: "IDX", check: number(0, 0xfffff, "invalid erspan index") }]),
      note: RECEIVED_ONLY,
    },
    {
      ...implied("erspan_dir", [
        { placeholder: "{ ingress | egress }", check: oneOf(["ingress", "egress"], "invalid erspan direction") },
      ]),
      note: RECEIVED_ONLY,
    },
    {
      ...implied("erspan_hwid", [{ placeholder: "HWID", check: number(0, 63, "invalid erspan hwid") }]),
      note: RECEIVED_ONLY,
    },
  ],
});

const MARKS = "keys of a kernel's VTI are marks of its IPsec policies; vtepd has its associations from `key-file FILE`";

const vtiType = (name: string, family: 4 | 6): LinkType => ({
  name,
  modes: [name],
  initial: { mode: name },
  words: [
    // Before key, which is refused.
    setting(["key-file"], "key-file", {
      placeholder: "FILE",
      check: (text) => (text.startsWith("/") ? undefined : `argument "${text}" is wrong: not an absolute path`),
      choices: "file",
    }),
    ...["key", "ikey", "okey"].map((word) => refusedAlone(word, MARKS)),
    remoteWord(["remote"], family),
    localWord(family),
    devWord(),
    fwmarkWord(),
  ],
});

export const IP_TYPES: readonly LinkType[] = [
  greType("gre"),
  greType("gretap"),
  gre6Type("ip6gre"),
  gre6Type("ip6gretap"),
  ipip,
  sit,
  ip6tnl,
  erspanType("erspan", 4),
  erspanType("ip6erspan", 6),
  vtiType("vti", 4),
  vtiType("vti6", 6),
];
