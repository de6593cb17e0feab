/**
 * The keys that tunnels have, each with its kind of value, default, unit and meaning; which of them a mode has, its file in
 * tunnel/ says; and what a tunnel that is written so becomes.
 */
import { z } from "zod";
import { ENCAP_PORTS, ENCAPS } from "../tunnel/in-udp.ts";
import type { Mode } from "../tunnel/mode.ts";
import { MODES } from "../tunnel/modes.ts";
import { MAX_ERSPAN_SESSION } from "../wire/erspan.ts";
import { fdbMac, groupAddress, interfaceAddress, remoteVtep, unicastMac, vtepAddress } from "./address.ts";
import { NOTIFICATIONS, type Policer, type TunnelConfig } from "./config.ts";
import { MAX_FDB_ENTRIES } from "./daemon-schema.ts";
import { embeddingKeys, embeddingOf } from "./embedding.ts";
import { espKeys } from "./esp-keys.ts";
import { bothOr, greKey, quadValue } from "./gre-value.ts";
import { HOST_GATEWAY } from "./host-gateway.ts";
import { key, listOf, map, section } from "./map.ts";
import { routes } from "./route.ts";
import {
  ageingTime,
  autoOrInteger,
  flag,
  flagOr,
  integer,
  integerOr,
  interfaceName,
  netns,
  oneOf,
  oneOrList,
  portRange,
} from "./value.ts";

/** netplan's words for outer UDP checksums. */
const CHECKSUMS = ["udp", "zero-udp6-tx", "zero-udp6-rx"] as const;

const MAX_VNI = 16_777_215;
const MAX_POLICER_RATE = 1_000_000;
const vni = () => integer(0, MAX_VNI);
const udpPort = () => integer(1, 65_535);

const fdbEntry = map({
  mac: key(fdbMac(), "Inner destination. All zeros makes `dst` a member of the flood list, as in `bridge fdb`.", {
    examples: ["02:00:00:00:00:03"],
  }),
  dst: key(remoteVtep(), "Remote VTEP that the MAC is behind.", { examples: ["192.0.2.3"] }),
  port: key(udpPort().optional(), "UDP port of that VTEP, if not the tunnel's own.", { examples: [8472] }),
  vni: key(vni().optional(), "VNI to send with, if not the tunnel's own.", { examples: [201] }),
  via: key(interfaceName().optional(), "Underlay interface that copies to `dst` leave by, if not the tunnel's own.", {
    examples: ["eth1"],
  }),
  sticky: key(
    flag().optional(),
    "Whether frames of the MAC from other remote VTEPs are delivered; without it, they are dropped (`vxlan_entry_exists`).",
    { examples: [true] },
  ),
});

const neighbour = map({
  address: key(vtepAddress(), "Its address in the overlay.", { examples: ["10.42.0.2"] }),
  mac: key(unicastMac(), "Its MAC.", { examples: ["02:00:00:00:00:02"] }),
  router: key(flag().default(false), "Whether it is a router; IPv6 hosts are told so."),
});

const policer = (what: string) =>
  key(
    integer(1, MAX_POLICER_RATE).optional(),
    `Limit for ${what}. A tenth of a second's may come at once, at least ten.`,
    {
      unit: "frames/s",
      examples: [1000],
    },
  );

const policers = section({
  broadcast: policer("broadcast frames"),
  multicast: policer("multicast frames"),
  "unknown-unicast": policer("unicast frames whose MAC is not known"),
  "per-source": key(
    section({
      broadcast: policer("one MAC's broadcast frames"),
      multicast: policer("one MAC's multicast frames"),
      "unknown-unicast": policer("one MAC's unicast frames to MACs that are not known"),
    }),
    "The same for each source MAC by itself.",
  ),
});

const encapsulation = map({
  type: key(
    oneOf(ENCAPS),
    "What stands behind the UDP header: with `fou` nothing between UDP and the tunnel's own header; `gue`: four bytes that say what follows; `gre-in-udp`: RFC 8086; `espinudp`: RFC 3948.",
    { examples: ["gue"] },
  ),
  port: key(udpPort().optional(), "UDP port that we receive on and send to. Without it 5555, 6080, 4754 and 4500.", {
    examples: [6080],
  }),
});

/** In the order in which the reference has them. */
const tunnelKeys = {
  id: key(vni(), "Virtual network identifier (VNI).", { examples: [42] }),
  local: key(
    oneOrList(vtepAddress()).optional(),
    "Our VTEP address; a list of two when the tunnel has remotes of both families. Without it, the one that the route to the remotes has.",
    { examples: ["192.0.2.1"] },
  ),
  group: key(
    groupAddress().optional(),
    "Multicast group that broadcast, unknown unicast and multicast frames are sent to, and IP packets that no route takes; joined on `link`.",
    { examples: ["239.1.1.1"], insteadOf: "remote" },
  ),
  remote: key(
    remoteVtep().optional(),
    "The remote VTEP of a point-to-point tunnel. A host name, here and below, is resolved again when its TTL is over.",
    { examples: ["192.0.2.2"] },
  ),
  flood: key(
    listOf(remoteVtep()).default([]),
    "Flood list: remote VTEPs that get a copy of each broadcast, unknown unicast and multicast frame, beside `remote`. A host name stands for all its addresses.",
    { examples: [["192.0.2.3"]] },
  ),
  fdb: key(listOf(fdbEntry).default([]), "Static FDB entries. They never age and no frame moves them."),
  port: key(udpPort().optional(), "UDP port that we receive on and send to."),
  routes: key(
    routes(),
    "Networks of the overlay, each with the remote VTEP that it is behind; the longest prefix counts. What is in none of them goes to `remote`. They become routes of the host through the device; where the tunnel carries Ethernet frames, they are only that.",
  ),
  ...embeddingKeys,
  "mac-learning": key(flag().default(true), "Learn which remote VTEP a MAC is behind from the frames it sends."),
  "unknown-unicast": key(
    oneOf(["flood", "drop"]).default("flood"),
    "What happens to unicast frames from the overlay whose MAC is not known.",
  ),
  policers: key(policers, "How much of what the overlay sends is flooded, at most, whatever the number of workers."),
  "arp-proxy": key(
    flag().default(false),
    "Answer ARP and neighbour discovery for stations behind remote VTEPs: for those of `neighbours` and those heard. What is not known is flooded.",
  ),
  neighbours: key(listOf(neighbour).default([]), "Stations of the overlay whose MACs are known beforehand."),
  neighbors: key(listOf(neighbour).optional(), "Another spelling of `neighbours`.", { aliasOf: "neighbours" }),
  notifications: key(
    listOf(oneOf(NOTIFICATIONS)).default([]),
    "What `vtepctl monitor` tells of: `l2-miss`, unicast frames whose MAC has no FDB entry; `l3-miss`, questions for addresses that no neighbour has.",
    { examples: [["l2-miss", "l3-miss"]] },
  ),
  vlan: key(
    oneOf(["pass", "strip", "drop"]).default("pass"),
    "VLAN tags (802.1Q, 802.1ad) of overlay frames, in both directions: `strip` takes the outermost one off, `drop` drops tagged " +
      "frames (RFC 7348 section 6.1).",
  ),
  ageing: key(
    ageingTime().default(300),
    "Time without a frame after which a learned entry goes, as a number, `300s`, `5m` or `1h`; `none` and 0 mean never.",
    { unit: "seconds" },
  ),
  aging: key(ageingTime().optional(), "Another spelling of `ageing`.", { unit: "seconds", aliasOf: "ageing" }),
  limit: key(integer(1, MAX_FDB_ENTRIES).default(65_536), "Learned FDB entries that the tunnel may have.", {
    unit: "entries",
  }),
  "limit-per-remote": key(
    integer(1, MAX_FDB_ENTRIES).optional(),
    "Learned FDB entries that one remote VTEP may have in the tunnel. Without it, as many as `limit`.",
    { unit: "entries", examples: [1000] },
  ),
  eviction: key(
    oneOf(["fair", "none"]).optional(),
    "When `limit` is reached: `fair` lets a remote VTEP with few learned entries have the least recently used ones of those " +
      "with the most removed; `none` learns nothing more. Without it, `fair`, and `none` with `accept: any`.",
    { examples: ["none"] },
  ),
  "move-damping": key(
    flag().default(true),
    "A MAC that moved between remote VTEPs five times within ten seconds stays where it is for five seconds.",
  ),
  mtu: key(integer(68, 65_535).optional(), "MTU of the device. Without it, whatever the underlay leaves.", {
    unit: "bytes",
    examples: [1450],
  }),
  macaddress: key(unicastMac().optional(), "MAC of the device. Without it, a random one.", {
    examples: ["02:00:00:00:00:01"],
  }),
  addresses: key(listOf(interfaceAddress()).default([]), "Addresses of the device.", {
    examples: [["10.42.0.1/24"]],
  }),
  netns: key(
    netns().optional(),
    "Network namespace that the device is made in: a name in /run/netns or an absolute path. The UDP socket stays in the daemon's.",
    { examples: ["blue"] },
  ),
  "underlay-netns": key(
    netns().optional(),
    "Network namespace of the underlay, where the UDP sockets are. Without it, the daemon's.",
    { examples: ["underlay"] },
  ),
  link: key(
    interfaceName().optional(),
    "Underlay interface that the UDP socket is bound to; or a VRF, when the underlay is in one.",
    {
      examples: ["eth0"],
    },
  ),
  queues: key(
    autoOrInteger(1, 256).default("auto"),
    "Queues of the TAP device, at most one per worker. `auto` is one per worker, and fewer where all tunnels together would have more than 1024.",
    {
      unit: "queues",
    },
  ),
  ttl: key(
    integerOr(1, 255, ["auto", "inherit"]).default("auto"),
    "TTL or hop limit of outer packets. `auto` is the host's default, and 1 for a multicast group; `inherit` is the inner packet's.",
  ),
  "type-of-service": key(
    integerOr(0, 255, ["inherit"]).default(0),
    "TOS or traffic class of outer packets; `inherit` is the inner packet's. Its two ECN bits are always by RFC 6040.",
  ),
  "do-not-fragment": key(
    flagOr(["inherit"]).default(false),
    "DF of outer IPv4 packets, and that packets larger than the path are refused over IPv6 too; `inherit` is the inner packet's DF.",
  ),
  oversize: key(
    oneOf(["icmp", "fragment", "drop"]).default("icmp"),
    "What happens to frames that do not fit into one packet on the path: `icmp` tells the sender (packet too big), as far as it may not be fragmented, and fragments the rest; `fragment` fragments outer packets; `drop` drops.",
  ),
  "mss-clamp": key(
    integerOr(64, 65_495, ["off", "auto"]).default("off"),
    "Hold down the maximum segment size that TCP connections through the tunnel announce, in both directions: to what fits (`auto`) or to a number of bytes. For hosts that ICMP does not reach.",
  ),
  "flow-label": key(
    integerOr(0, 1_048_575, ["inherit"]).default(0),
    "Flow label of outer packets over IPv6; `inherit` is the inner IPv6 packet's. 0, and what has none to inherit, leaves it to the host, which has one for each flow (`net.ipv6.auto_flowlabels`).",
  ),
  "port-range": key(
    portRange().optional(),
    "UDP source ports, first and last. Without it, ephemeral ones. Twice the same port means just that one: the underlay then sees one flow.",
    { examples: [[32_768, 60_999]] },
  ),
  checksums: key(
    listOf(oneOf(CHECKSUMS)).default(["udp"]),
    "Outer UDP checksums: `udp` over IPv4; `zero-udp6-tx` sends none over IPv6, `zero-udp6-rx` accepts none over IPv6. Without a checksum each datagram is a system call's work of its own.",
  ),
  fwmark: key(
    integer(1, 4_294_967_295).optional(),
    "Mark of outer packets (SO_MARK), for policy routing and packet filters.",
    {
      examples: [42],
    },
  ),
  encap: key(
    encapsulation.optional(),
    "Put into UDP, for an underlay that carries no other protocol. With `fou`, an IPv4 and an IPv6 tunnel need a port each.",
    { examples: [{ type: "gue", port: 6080 }] },
  ),
  options: key(
    oneOf(["ignore", "refuse"]).default("ignore"),
    "Packets with options in the tunnel header: accepted without looking at them, or dropped (`invalid_hdr`). With a critical option they are dropped in either case.",
  ),
  key: key(
    bothOr(greKey()).optional(),
    "GRE key: an integer or a dotted quad, or `input` and `output` apart. Without it, packets have none, and those with one are not ours; with an IPv4 `group` it is then the group's address, as iproute2 has it.",
    { examples: [42] },
  ),
  session: key(
    integer(0, MAX_ERSPAN_SESSION).optional(),
    "ERSPAN session whose frames are taken, in types II and III. Without it those of type I, which has none.",
    { examples: [42] },
  ),
  checksum: key(
    bothOr(flag()).prefault(false),
    "Whether sent packets have a GRE checksum, and whether received ones must have one; `input` and `output` may be told apart.",
  ),
  sequence: key(
    bothOr(flag()).prefault(false),
    "Whether sent packets have a GRE sequence number, and whether received ones must have one that is not older than one before (RFC 2890); `input` and `output` may be told apart.",
  ),
  ...espKeys,
  accept: key(
    oneOf(["known", "any"]).optional(),
    "Whose frames are accepted: `known` are the remote VTEPs of `remote`, `flood` and `fdb`; `any` is as the kernel's device, and the default with `group`.",
    { examples: ["any"] },
  ),
};

/** What a tunnel is written with, defaults filled in; what its mode does not have is at its default, too. */
type TunnelKeys = z.output<z.ZodObject<Omit<typeof tunnelKeys, "id" | "key-file" | "prefix">>> & {
  readonly id?: number;
  readonly "key-file"?: string;
  readonly prefix?: string;
};

/** Each with those keys that its mode has; `mode` itself comes first. */
const schemaOf = (mode: Mode) => {
  const keys = Object.entries(tunnelKeys).filter(([name]) => mode.keys.includes(name));
  const description = tunnelKeys.port.meta()?.description ?? "";
  return map({
    mode: key(z.literal(mode.name).meta({ title: `\`${mode.name}\`` }), `${mode.meaning}.`, { examples: [mode.name] }),
    ...Object.fromEntries(keys),
    ...(mode.required.includes("local")
      ? { local: key(oneOrList(vtepAddress()), "Our VTEP address.", { examples: ["192.0.2.1"] }) }
      : {}),
    ...(mode.port === undefined ? {} : { port: key(integer(1, 65_535).default(mode.port), description) }),
  });
};

const modes = [...MODES.values()].map(schemaOf);

/** Of keys that a mode does not have. */
const DEFAULTS = Object.fromEntries(
  Object.entries(tunnelKeys).flatMap(([name, type]) => {
    const absent = type.safeParse(undefined);
    return absent.success ? [[name, absent.data]] : [];
  }),
);

const MIN_BURST = 10;

const policerConfig = (rate: number | undefined): Policer | undefined =>
  rate === undefined ? undefined : { rate, burst: Math.max(Math.ceil(rate / 10), MIN_BURST) };

type Rates = TunnelKeys["policers"]["per-source"];

const policerConfigs = (rates: Rates): TunnelConfig["policers"] => ({
  broadcast: policerConfig(rates.broadcast),
  multicast: policerConfig(rates.multicast),
  unknownUnicast: policerConfig(rates["unknown-unicast"]),
});

const acceptOf = ({ accept, group }: TunnelKeys): "known" | "any" => accept ?? (group === undefined ? "known" : "any");

/** With a group and no key of its own, GRE's key is the group's address, as iproute2 has it (over IPv4 only). */
const greKeyOf = (mode: string, { key: given, group }: TunnelKeys): TunnelConfig["key"] => {
  if (given !== undefined || group === undefined || MODES.get(mode)?.keys.includes("key") !== true) return given;
  const address = quadValue(group);
  return Number.isNaN(address) ? undefined : { input: address, output: address };
};

const tunnelConfig = (mode: string, keys: TunnelKeys): Omit<TunnelConfig, "name"> => ({
  mode,
  id: keys.id ?? greKeyOf(mode, keys)?.output ?? 0,
  key: keys.session === undefined ? greKeyOf(mode, keys) : { input: keys.session, output: keys.session },
  greChecksum: keys.checksum,
  greSequence: keys.sequence,
  locals: keys.local ?? [],
  group: keys.group,
  remote: keys.remote,
  flood: [...keys.flood, ...keys["potential-routers"]],
  embedding: embeddingOf(mode, keys.prefix, keys["relay-prefix"]),
  fdb: keys.fdb,
  routes: keys.routes,
  encap: keys.encap === undefined ? undefined : { type: keys.encap.type },
  keyFile: keys["key-file"],
  extendedSequence: keys["extended-sequence"],
  replayWindow: keys["replay-window"],
  refusesOptions: keys.options === "refuse",
  port: keys.encap === undefined ? (keys.port ?? 0) : (keys.encap.port ?? ENCAP_PORTS[keys.encap.type]),
  macLearning: keys["mac-learning"],
  unknownUnicast: keys["unknown-unicast"],
  policers: policerConfigs(keys.policers),
  sourcePolicers: policerConfigs(keys.policers["per-source"]),
  arpProxy: keys["arp-proxy"],
  neighbours: keys.neighbors ?? keys.neighbours,
  notifications: keys.notifications,
  vlan: keys.vlan,
  ageingS: keys.aging ?? keys.ageing,
  limit: keys.limit,
  limitPerRemote: keys["limit-per-remote"],
  eviction: keys.eviction ?? (acceptOf(keys) === "any" ? "none" : "fair"),
  moveDamping: keys["move-damping"],
  mtu: keys.mtu,
  macAddress: keys.macaddress,
  addresses: keys.addresses,
  netns: keys.netns,
  underlayNetns: keys["underlay-netns"],
  link: keys.link,
  queues: keys.queues === "auto" ? undefined : keys.queues,
  ttl: keys.ttl === "auto" ? undefined : keys.ttl,
  tos: keys["type-of-service"],
  oversize: keys.oversize,
  mssClamp: keys["mss-clamp"],
  doNotFragment: keys["do-not-fragment"] === "inherit" ? "inherit" : keys["do-not-fragment"] ? "set" : "unset",
  flowLabel: keys["flow-label"],
  sourcePorts: keys["port-range"],
  checksum: keys.checksums.includes("udp"),
  zeroChecksum6Tx: keys.checksums.includes("zero-udp6-tx"),
  zeroChecksum6Rx: keys.checksums.includes("zero-udp6-rx"),
  mark: keys.fwmark,
  accept: MODES.get(mode)?.embedding === undefined ? acceptOf(keys) : "any",
});

const modeNames = [...MODES.keys(), HOST_GATEWAY].join(", ");

/** One tunnel; its name is the key it stands under. */
export const tunnelSchema: z.ZodType<Omit<TunnelConfig, "name">> = z
  .discriminatedUnion("mode", modes as [(typeof modes)[number]], {
    // For a value that is no map at all the code is another than zod's type says.
    error: (issue) => ((issue.code as string) === "invalid_type" ? "a map" : `a mode (${modeNames})`),
  })
  .transform(({ mode, ...given }) => tunnelConfig(mode, { ...DEFAULTS, ...given } as unknown as TunnelKeys));
