/**
 * Checks that need more than one value: each is right by itself, together they cannot be served. A message stands
 * at one of the two values and names the place of the other.
 */

import { isHostName } from "../dataplane/host-name.ts";
import { encapsOf } from "../tunnel/in-udp.ts";
import { type HeaderOptions, hasVni } from "../tunnel/mode.ts";
import { modeOf } from "../tunnel/modes.ts";
import type { TunnelConfig } from "./config.ts";
import { Conflicts } from "./conflict-report.ts";
import {
  addressTwice,
  family,
  headerTwice,
  linkContradiction,
  macTwice,
  memberTwice,
  modeContradiction,
  NEIGHBOURS_FOR_NOTHING,
  ownDevice,
  ownMac,
  peerTwice,
  remoteContradiction,
  STICKY_MEMBER,
  viaContradiction,
  vniTwice,
} from "./contradictions.ts";
import { checkEmbedding } from "./embedding.ts";
import type { PlacedValue } from "./placed-value.ts";
import type { KeyPath, Problem } from "./problem.ts";
import { checkRoutes } from "./route.ts";

/** An underlay address of a tunnel and where it stands. */
interface Vtep {
  readonly address: string;
  readonly path: KeyPath;
}

const ZERO_MAC = "00:00:00:00:00:00";

/** ISATAP calls its flood list by another name. */
const floodKey = ({ mode }: TunnelConfig): string => (mode === "isatap" ? "potential-routers" : "flood");

const remotesOf = (tunnel: TunnelConfig, path: KeyPath): Vtep[] => [
  ...(tunnel.remote === undefined ? [] : [{ address: tunnel.remote, path: [...path, "remote"] }]),
  ...tunnel.flood.map((address, index) => ({ address, path: [...path, floodKey(tunnel), index] })),
  ...tunnel.fdb.map(({ dst }, index) => ({ address: dst, path: [...path, "fdb", index, "dst"] })),
  ...tunnel.routes.map(({ via }, index) => ({ address: via, path: [...path, "routes", index, "via"] })),
];

/** As far as received packets go. */
const headerOptions = ({ port, refusesOptions }: TunnelConfig): HeaderOptions => ({
  key: undefined,
  checksum: false,
  sequence: false,
  port,
  refusesOptions,
});

/** What packets of a tunnel are known by at a local address, each in words for who else would claim them. */
const claimsOf = (tunnel: TunnelConfig): { readonly claim: string; readonly words: (place: string) => string }[] => {
  const { id, port, key, accept } = tunnel;
  const mode = modeOf(tunnel);
  if (hasVni(mode)) {
    return [{ claim: `vni ${id} ${port}`, words: (place) => vniTwice(id, `port ${port} and ${place}`) }];
  }
  const remotes = accept === "any" ? ["anybody"] : remotesOf(tunnel, []).map(({ address }) => address);
  const options = headerOptions(tunnel);
  const what =
    mode.format(options).kind === "gre"
      ? `gre ${mode.isMirror === true} ${mode.payloads[0] === "ethernet"} key ${key?.input ?? "none"}`
      : "ip";
  const protocols = mode.carriers(options).map((of) => of?.protocol);
  return remotes.flatMap((remote) =>
    protocols.map((protocol) => ({
      claim: `${what} ${protocol} ${port} ${remote}`,
      words: (place: string) => peerTwice(remote, place),
    })),
  );
};

/** A socket tells tunnels apart by VNI, or by key and remote VTEP. */
const checkClaims = (tunnels: readonly TunnelConfig[], conflicts: Conflicts): void => {
  const owners = new Map<string, KeyPath>();
  for (const tunnel of tunnels) {
    const { name, locals, underlayNetns } = tunnel;
    const path = ["tunnels", name, hasVni(modeOf(tunnel)) ? "id" : "remote"];
    const places =
      locals.length === 0 ? ["a local address found by route"] : locals.map((local) => `local address ${local}`);
    const where = underlayNetns === undefined ? "" : ` in ${underlayNetns}`;
    const claims = places.flatMap((place) =>
      claimsOf(tunnel).map((claim) => ({ ...claim, place: `${place}${where}` })),
    );
    const taken = claims.find(({ claim, place }) => owners.has(`${claim} ${place}`));
    if (taken !== undefined) {
      const owner = owners.get(`${taken.claim} ${taken.place}`)!;
      conflicts.report(path, `${taken.words(taken.place)}: ${conflicts.at(owner)}`);
    }
    for (const { claim, place } of claims) if (!owners.has(`${claim} ${place}`)) owners.set(`${claim} ${place}`, path);
  }
};

const localsOf = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): Vtep[] =>
  tunnel.locals.map((address, index) => ({
    address,
    path: conflicts.isList([...path, "local"]) ? [...path, "local", index] : [...path, "local"],
  }));

const checkVteps = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  const remotes = remotesOf(tunnel, path);
  const locals = localsOf(tunnel, path, conflicts);
  const [first, second] = locals;
  if (second !== undefined && family(first!.address) === family(second.address)) {
    const wanted = `expected one local address of each family beside ${conflicts.at(first!.path)}`;
    conflicts.report(second.path, `${wanted}, got ${second.address}`);
  }
  for (const { address, path: place } of [...locals, ...remotes]) {
    const message = modeContradiction(address, modeOf(tunnel)) ?? linkContradiction(address, tunnel)?.message;
    if (message !== undefined) conflicts.report(place, message);
  }
  for (const { address, path: place } of remotes) {
    if (modeContradiction(address, modeOf(tunnel)) !== undefined) continue; // Said already.
    const found = remoteContradiction(address, tunnel);
    const other = locals.find((local) => local.address === found?.local);
    if (found !== undefined) conflicts.report(place, `${found.message}: ${conflicts.at(other!.path)}`);
  }
  for (const [index, { via }] of tunnel.fdb.entries()) {
    const message = via === undefined ? undefined : viaContradiction(via, tunnel);
    if (message !== undefined) conflicts.report([...path, "fdb", index, "via"], message);
  }
};

/** The socket that sends to a name's addresses is made before they are known. */
const checkNames = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  const remotes = remotesOf(tunnel, path);
  const name = remotes.find(({ address }) => isHostName(address));
  if (name === undefined || tunnel.locals.length > 0 || tunnel.group !== undefined) return;
  if (remotes.some(({ address }) => !isHostName(address))) return;
  const words = `expected \`local\` beside the host name ${name.address}, because there is no remote VTEP whose route would tell it`;
  conflicts.report(name.path, words);
};

/** What a multicast group needs and what it cannot be with. */
const checkGroup = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  if (tunnel.group === undefined) return;
  const place = [...path, "group"];
  if (tunnel.remote !== undefined) {
    const other = conflicts.at([...path, "remote"]);
    conflicts.report(place, `expected one default destination, got the group ${tunnel.group} beside ${other}`);
  }
  if (tunnel.link === undefined) {
    conflicts.report(place, `expected \`link\`, the interface to join the group on, got ${tunnel.group} without one`);
  }
  const [local] = tunnel.locals;
  if (local !== undefined && !tunnel.locals.some((address) => family(address) === family(tunnel.group!))) {
    const at = conflicts.at([...path, "local"]);
    conflicts.report(place, `expected an ${family(local)} group as ${at} is ${family(local)}, got ${tunnel.group}`);
  }
};

/** Where only the receiving port is to be sent from, its socket sends, which many tunnels share and nothing can be set on. */
const checkOuterHeader = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  const { sourcePorts, port, doNotFragment, checksum, zeroChecksum6Tx, mark, flowLabel } = tunnel;
  if (sourcePorts?.first !== port || sourcePorts.last !== port) return;
  const wishes: [key: string, isWished: boolean][] = [
    ["do-not-fragment", doNotFragment !== "unset"],
    ["checksums", !checksum || zeroChecksum6Tx],
    ["fwmark", mark !== undefined],
    ["flow-label", flowLabel !== 0 && flowLabel !== "inherit"],
  ];
  const wish = wishes.find(([, isWished]) => isWished);
  if (wish === undefined) return;
  const at = conflicts.at([...path, wish[0]]);
  const wanted = "expected source ports other than the port that receives, whose socket cannot be set to what";
  conflicts.report([...path, "port-range"], `${wanted} ${at} asks, got ${port}`);
};

const checkOversize = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  if (tunnel.oversize !== "fragment" || tunnel.doNotFragment !== "set") return;
  const at = conflicts.at([...path, "do-not-fragment"]);
  conflicts.report([...path, "oversize"], `expected \`icmp\` or \`drop\` beside ${at}, got \`fragment\``);
};

/** IPv4 and TCP headers without options, the least that an MSS leaves out of a packet. */
const LEAST_HEADERS = 40;

/** A clamp that lets through what does not fit holds nothing down. */
const checkMssClamp = ({ mssClamp, mtu }: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  if (mtu === undefined || typeof mssClamp !== "number" || mssClamp <= mtu - LEAST_HEADERS) return;
  const wanted = `expected at most ${mtu - LEAST_HEADERS} beside ${conflicts.at([...path, "mtu"])}`;
  conflicts.report([...path, "mss-clamp"], `${wanted}, got ${mssClamp}`);
};

const checkLimits = ({ limit, limitPerRemote }: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  if (limitPerRemote === undefined || limitPerRemote <= limit) return;
  const wanted = `expected at most ${limit}, which \`limit\` gives the whole tunnel`;
  conflicts.report([...path, "limit-per-remote"], `${wanted}, got ${limitPerRemote}`);
};

/** Numbers are counted by the socket, and whether packets have DF, too, is a matter of the socket. */
const checkSequence = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  if (!tunnel.greSequence.output || tunnel.doNotFragment !== "inherit") return;
  const at = conflicts.at([...path, "do-not-fragment"]);
  conflicts.report([...path, "sequence"], `expected no sequence numbers in what is sent beside ${at}, got some`);
};

const checkEncap = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  const wanted: readonly string[] = encapsOf(modeOf(tunnel));
  if (tunnel.encap === undefined || wanted.includes(tunnel.encap.type)) return;
  const words = `expected \`${wanted.join("` or `")}\` beside ${conflicts.at([...path, "mode"])}`;
  conflicts.report([...path, "encap", "type"], `${words}, got \`${tunnel.encap.type}\``);
};

/** What is read of the headers that come in through a tunnel's sockets, as text. */
const headerText = (tunnel: TunnelConfig): string => {
  const mode = modeOf(tunnel);
  return `${mode.layout} ${JSON.stringify(mode.format(headerOptions(tunnel)))}`;
};

/** The key by which two tunnels' headers are not the same. */
const headerKey = (a: TunnelConfig, b: TunnelConfig): string => {
  if (a.mode !== b.mode) return "mode";
  return a.encap?.type === b.encap?.type ? "options" : "encap";
};

/** Tunnels on one socket must agree on what the socket is set to, and on the header of what comes. */
const checkSockets = (tunnels: readonly TunnelConfig[], conflicts: Conflicts): void => {
  const first = new Map<string, TunnelConfig>();
  for (const tunnel of tunnels.filter(({ port }) => port !== 0)) {
    const { name, port, underlayNetns } = tunnel;
    for (const local of tunnel.locals) {
      const socket = `${local} ${port} ${underlayNetns ?? ""}`;
      const other = first.get(socket) ?? tunnel;
      first.set(socket, other);
      if (other.zeroChecksum6Rx !== tunnel.zeroChecksum6Rx) {
        const at = conflicts.at(["tunnels", other.name, "checksums"]);
        const wanted = `expected \`zero-udp6-rx\` in both or neither, as ${local} port ${port} is shared with ${at}`;
        conflicts.report(["tunnels", name, "checksums"], wanted);
      }
      if (headerText(other) !== headerText(tunnel)) {
        const key = headerKey(other, tunnel);
        const words = headerTwice(`port ${port} and local address ${local}`);
        conflicts.report(["tunnels", name, key], `${words} ${conflicts.at(["tunnels", other.name, key])}`);
      }
    }
  }
};

/** `remote`, `flood` and zero-MAC entries of `fdb` are one flood list. */
const checkFloodList = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  const members = new Map<string, KeyPath>();
  const add = (address: string, place: KeyPath, port = tunnel.port, vni = tunnel.id, via = tunnel.link): void => {
    const member = `${address} ${port} ${vni} ${via}`;
    const first = members.get(member);
    if (first === undefined) {
      members.set(member, place);
    } else {
      conflicts.report(place, `${memberTwice(address)}: ${conflicts.at(first)}`);
    }
  };
  for (const { address, path: place } of remotesOf({ ...tunnel, fdb: [], routes: [] }, path)) {
    add(address, place);
  }
  for (const [index, { mac, dst, port, vni, via, sticky }] of tunnel.fdb.entries()) {
    if (mac !== ZERO_MAC) continue;
    add(dst, [...path, "fdb", index, "dst"], port, vni, via);
    if (sticky === true) conflicts.report([...path, "fdb", index, "sticky"], STICKY_MEMBER);
  }
};

const checkMacs = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  const owners = new Map<string, KeyPath>();
  if (tunnel.macAddress !== undefined) {
    owners.set(tunnel.macAddress, [...path, "macaddress"]);
  }
  for (const [index, { mac }] of tunnel.fdb.entries()) {
    const place = [...path, "fdb", index, "mac"];
    const owner = owners.get(mac);
    if (owner !== undefined) {
      const words = mac === tunnel.macAddress ? ownMac(mac) : macTwice(mac);
      conflicts.report(place, `${words}: ${conflicts.at(owner)}`);
    } else if (mac !== ZERO_MAC) {
      owners.set(mac, place);
    }
  }
};

const checkAddresses = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  for (const [index, address] of tunnel.addresses.entries()) {
    const first = tunnel.addresses.indexOf(address);
    if (first < index) {
      const at = conflicts.at([...path, "addresses", first]);
      conflicts.report([...path, "addresses", index], `${addressTwice(address)}: ${at}`);
    }
  }
};

/** The UDP socket is bound to `link` in the daemon's own namespace, where a tunnel with `netns` has no device. */
const checkLink = (tunnel: TunnelConfig, tunnels: ReadonlyMap<string, TunnelConfig>, conflicts: Conflicts): void => {
  if (tunnel.underlayNetns !== undefined) return;
  const path = ["tunnels", tunnel.name, "link"];
  const underlay = tunnel.link === undefined ? undefined : tunnels.get(tunnel.link);
  if (underlay === tunnel && tunnel.netns === undefined) {
    conflicts.report(path, ownDevice(tunnel.name));
  } else if (underlay?.netns !== undefined && underlay !== tunnel) {
    const netns = conflicts.at(["tunnels", underlay.name, "netns"]);
    conflicts.report(
      path,
      `expected an interface in the daemon's namespace, got ${underlay.name}, which is in that of ${netns}`,
    );
  }
};

/** A neighbour is looked up by its address, and only where somebody asks for neighbours. */
const checkNeighbours = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  const owners = new Map<string, KeyPath>();
  for (const [index, { address, mac }] of tunnel.neighbours.entries()) {
    const place = [...path, "neighbours", index, "address"];
    const owner = owners.get(address);
    if (owner === undefined) owners.set(address, place);
    else conflicts.report(place, `${addressTwice(address)}: ${conflicts.at(owner)}`);
    if (mac === tunnel.macAddress) {
      const at = conflicts.at([...path, "macaddress"]);
      conflicts.report([...path, "neighbours", index, "mac"], `${ownMac(mac)}: ${at}`);
    }
  }
  if (tunnel.neighbours.length > 0 && !tunnel.arpProxy && !tunnel.notifications.includes("l3-miss")) {
    conflicts.report([...path, "neighbours"], NEIGHBOURS_FOR_NOTHING);
  }
};

const SPELLINGS = [
  ["ageing", "aging"],
  ["neighbours", "neighbors"],
] as const;

const checkSpellings = (document: PlacedValue, conflicts: Conflicts): void => {
  const tunnels = document.keysAt(["tunnels"]).map((name) => ["tunnels", name]);
  for (const path of tunnels) {
    for (const [ours, other] of SPELLINGS) {
      if (!document.valueAt([...path, ours]).present || !document.valueAt([...path, other]).present) continue;
      const at = conflicts.at([...path, ours]);
      conflicts.report([...path, other], `expected one spelling of the key, got \`${other}\` beside ${at}`);
    }
  }
};

/**
 * @param tunnels those whose values are right one by one
 * @param document the file they come from
 */
export const findConflicts = (tunnels: readonly TunnelConfig[], document: PlacedValue): Problem[] => {
  const conflicts = new Conflicts(document);
  const byName = new Map(tunnels.map((tunnel) => [tunnel.name, tunnel]));
  checkSpellings(document, conflicts);
  checkClaims(tunnels, conflicts);
  checkSockets(tunnels, conflicts);
  for (const tunnel of tunnels) {
    const path = ["tunnels", tunnel.name];
    checkVteps(tunnel, path, conflicts);
    checkNames(tunnel, path, conflicts);
    checkGroup(tunnel, path, conflicts);
    checkOuterHeader(tunnel, path, conflicts);
    checkOversize(tunnel, path, conflicts);
    checkSequence(tunnel, path, conflicts);
    checkEncap(tunnel, path, conflicts);
    checkMssClamp(tunnel, path, conflicts);
    checkLimits(tunnel, path, conflicts);
    checkFloodList(tunnel, path, conflicts);
    checkEmbedding(tunnel, path, conflicts);
    checkRoutes(tunnel, path, conflicts);
    checkMacs(tunnel, path, conflicts);
    checkNeighbours(tunnel, path, conflicts);
    checkAddresses(tunnel, path, conflicts);
    checkLink(tunnel, byName, conflicts);
  }
  return conflicts.problems;
};
