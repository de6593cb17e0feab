/**
 * Checks that need more than one value: each is right by itself, together they cannot be served. A message stands
 * at one of the two values and names the place of the other.
 */
import ipaddr from "ipaddr.js";
import type { ConfigDocument } from "./document.ts";
import { type KeyPath, type Problem, pathText, placeText } from "./problem.ts";
import type { TunnelConfig } from "./schema.ts";

/** An underlay address of a tunnel and where it stands. */
interface Vtep {
  readonly address: string;
  readonly path: KeyPath;
}

const ZERO_MAC = "00:00:00:00:00:00";

/** The problems of one file, each reported with the place of the value that it contradicts. */
class Conflicts {
  readonly problems: Problem[] = [];
  readonly #document: ConfigDocument;

  constructor(document: ConfigDocument) {
    this.#document = document;
  }

  report(path: KeyPath, message: string): void {
    this.problems.push({ code: "ERR_CONFIG_CONFLICT", place: this.#document.valuePlace(path), path, message });
  }

  /** `tunnels.vx42.id (vtepd.yaml:5:9)` */
  at(path: KeyPath): string {
    return `${pathText(path)} (${placeText(this.#document.fileName, this.#document.valuePlace(path))})`;
  }
}

const remotesOf = (tunnel: TunnelConfig, path: KeyPath): Vtep[] => [
  ...(tunnel.remote === undefined ? [] : [{ address: tunnel.remote, path: [...path, "remote"] }]),
  ...tunnel.flood.map((address, index) => ({ address, path: [...path, "flood", index] })),
  ...tunnel.fdb.map(({ dst }, index) => ({ address: dst, path: [...path, "fdb", index, "dst"] })),
];

const family = (address: string): "IPv4" | "IPv6" => (address.includes(":") ? "IPv6" : "IPv4");

const isLinkLocal = (address: string): boolean =>
  family(address) === "IPv6" && ipaddr.parse(address).range() === "linkLocal";

/** One UDP socket tells tunnels apart by nothing but the VNI. */
const checkVnis = (tunnels: readonly TunnelConfig[], conflicts: Conflicts): void => {
  const owners = new Map<string, KeyPath>();
  for (const { name, id, port, local } of tunnels) {
    const path = ["tunnels", name, "id"];
    const socket = `port ${port} and ${local === undefined ? "a local address found by route" : `local address ${local}`}`;
    const owner = owners.get(`${id} ${socket}`);
    if (owner === undefined) {
      owners.set(`${id} ${socket}`, path);
    } else {
      conflicts.report(path, `expected a VNI of its own on ${socket}, got ${id} as ${conflicts.at(owner)} has`);
    }
  }
};

const checkVteps = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  const remotes = remotesOf(tunnel, path);
  const local: Vtep[] = tunnel.local === undefined ? [] : [{ address: tunnel.local, path: [...path, "local"] }];
  const [first, ...others] = [...local, ...remotes];
  for (const { address, path: place } of first === undefined ? [] : others) {
    if (address === tunnel.local) {
      conflicts.report(place, `expected a remote VTEP, got ${address}, which is our own: ${conflicts.at(first!.path)}`);
    } else if (family(address) !== family(first!.address)) {
      const wanted = `expected an ${family(first!.address)} address as ${conflicts.at(first!.path)} is one, got ${address}`;
      conflicts.report(place, `${wanted}: both families in one tunnel are not supported yet`);
    }
  }
  for (const { address, path: place } of tunnel.link === undefined ? [...local, ...remotes] : []) {
    if (isLinkLocal(address)) {
      conflicts.report(
        place,
        `expected \`link\` beside a link-local address, got ${address} and no interface to use it on`,
      );
    }
  }
};

/** `remote`, `flood` and zero-MAC entries of `fdb` are one flood list. */
const checkFloodList = (tunnel: TunnelConfig, path: KeyPath, conflicts: Conflicts): void => {
  const members = new Map<string, KeyPath>();
  const add = (address: string, place: KeyPath, port = tunnel.port, vni = tunnel.id): void => {
    const member = `${address} ${port} ${vni}`;
    const first = members.get(member);
    if (first === undefined) {
      members.set(member, place);
    } else {
      conflicts.report(
        place,
        `expected each member of the flood list once, got ${address} as in ${conflicts.at(first)}`,
      );
    }
  };
  for (const { address, path: place } of remotesOf({ ...tunnel, fdb: [] }, path)) {
    add(address, place);
  }
  for (const [index, { mac, dst, port, vni }] of tunnel.fdb.entries()) {
    if (mac === ZERO_MAC) {
      add(dst, [...path, "fdb", index, "dst"], port, vni);
    }
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
      conflicts.report(place, `expected each MAC once, got ${mac} as in ${conflicts.at(owner)}`);
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
      conflicts.report([...path, "addresses", index], `expected each address once, got ${address} as in ${at}`);
    }
  }
};

/** The UDP socket is bound to `link` in the daemon's own namespace, where a tunnel with `netns` has no device. */
const checkLink = (tunnel: TunnelConfig, tunnels: ReadonlyMap<string, TunnelConfig>, conflicts: Conflicts): void => {
  const path = ["tunnels", tunnel.name, "link"];
  const underlay = tunnel.link === undefined ? undefined : tunnels.get(tunnel.link);
  if (underlay === tunnel && tunnel.netns === undefined) {
    conflicts.report(path, `expected an underlay interface, got ${tunnel.name}, the device of the tunnel itself`);
  } else if (underlay?.netns !== undefined && underlay !== tunnel) {
    const netns = conflicts.at(["tunnels", underlay.name, "netns"]);
    conflicts.report(
      path,
      `expected an interface in the daemon's namespace, got ${underlay.name}, which is in that of ${netns}`,
    );
  }
};

const checkSpellings = (document: ConfigDocument, conflicts: Conflicts): void => {
  const names = document.keysAt(["tunnels"]);
  for (const path of names.map((name) => ["tunnels", name])) {
    if (document.valueAt([...path, "ageing"]).present && document.valueAt([...path, "aging"]).present) {
      const aging = [...path, "aging"];
      conflicts.report(
        aging,
        `expected one spelling of the key, got \`aging\` beside ${conflicts.at([...path, "ageing"])}`,
      );
    }
  }
};

/**
 * @param tunnels those whose values are right one by one
 * @param document the file they come from
 */
export const findConflicts = (tunnels: readonly TunnelConfig[], document: ConfigDocument): Problem[] => {
  const conflicts = new Conflicts(document);
  const byName = new Map(tunnels.map((tunnel) => [tunnel.name, tunnel]));
  checkSpellings(document, conflicts);
  checkVnis(tunnels, conflicts);
  for (const tunnel of tunnels) {
    const path = ["tunnels", tunnel.name];
    checkVteps(tunnel, path, conflicts);
    checkFloodList(tunnel, path, conflicts);
    checkMacs(tunnel, path, conflicts);
    checkAddresses(tunnel, path, conflicts);
    checkLink(tunnel, byName, conflicts);
  }
  return conflicts.problems;
};
