/** Settings of tunnels that a chaos walk makes, right ones and wrong ones. */
import type { Settings } from "../../src/dataplane/desired-view.ts";
import type { Random } from "./random.ts";

/** A device that is there and is nobody's. */
export const TAKEN = "taken0";
export const NO_INTERFACE = "nosuch0";
/** An underlay interface that goes up and down, away and back. */
export const PINNED = "eth1";
export const PINNED_LOCAL = "198.51.100.1";
export const LOCAL = "192.0.2.1";
export const FOREIGN_LOCAL = "203.0.113.9";

export const LOCAL6 = "fd00:192::1";

/** Names that the walk uses, each for modes of tunnels of which not the same can be said. */
const MODES: Readonly<Record<string, readonly string[]>> = {
  c0: ["vxlan", "geneve"],
  c1: ["vxlan", "geneve"],
  c2: ["vxlan"],
  c3: ["vxlan", "geneve", "gre"],
  c4: ["gretap"],
  c5: ["gretap", "vxlan"],
  c6: ["gre", "ipip"],
  c7: ["gre", "ipip"],
};
export const NAMES: readonly string[] = Object.keys(MODES);

const NUMBERS = Array.from({ length: 40 }, (_, n) => 100 + n);
const FILE_MEMBERS = ["192.0.2.21", "192.0.2.22", "192.0.2.23"];
const FILE_MACS = ["02:00:00:00:01:01", "02:00:00:00:01:02"];
/** Some of those that the file has, too. */
export const HAND_MEMBERS: readonly string[] = ["192.0.2.61", "192.0.2.62", FILE_MEMBERS[0]!];
export const HAND_MEMBERS6: readonly string[] = ["fd00:192::61", "fd00:192::62"];
export const HAND_MACS: readonly string[] = [
  ...FILE_MACS,
  ...Array.from({ length: 5 }, (_, n) => `02:00:00:00:02:0${n}`),
];
export const NEIGHBOURS: readonly string[] = ["10.200.0.1", "10.200.0.2", "fd00:200::3"];

/** The number that tells a tunnel from all others of its mode. */
export const numberOf = ({ id, key, remote }: Settings): number => Number(id ?? key ?? String(remote).split(".")[3]);

/** Numbers that no tunnel has. @throws RangeError when there is none */
export const freeNumber = (random: Random, taken: Iterable<Settings>): number => {
  const used = new Set([...taken].map(numberOf));
  return random.pick(NUMBERS.filter((number) => !used.has(number)));
};

/** Right settings. @param isPinned over the interface that comes and goes */
export const settingsOf = (random: Random, name: string, number: number, isPinned = false): Settings => {
  const mode = random.pick(MODES[name]!);
  const isInUdp = mode === "vxlan" || mode === "geneve";
  const isIpv6 = isInUdp && !isPinned && random.chance(0.15);
  const local = isPinned && isInUdp ? { link: PINNED, local: PINNED_LOCAL } : { local: isIpv6 ? LOCAL6 : LOCAL };
  const addresses = random.chance(0.5) ? { addresses: [`10.${number}.0.1/24`] } : {};
  if (mode === "ipip") return { mode, ...local, remote: `192.0.2.${number}`, ...addresses };
  if (mode === "gre") return { mode, ...local, key: number, remote: FILE_MEMBERS[0]!, ...addresses };
  return {
    mode,
    ...local,
    ...(mode === "gretap" ? { key: number } : { id: number }),
    ...(isIpv6 ? {} : { flood: random.some(FILE_MEMBERS) }),
    ...(random.chance(0.7) ? { "arp-proxy": true } : {}),
    ...addresses,
    ...changeable(random, isIpv6),
  };
};

/** Keys that running tunnels for Ethernet frames take over, and such that need it to be made anew. */
const changeable = (random: Random, isIpv6: boolean): Settings => ({
  ...(random.chance(0.3) ? { ageing: 60 + random.below(900) } : {}),
  ...(random.chance(0.3) ? { "mac-learning": false } : {}),
  ...(random.chance(0.3) ? { fwmark: 1 + random.below(9) } : {}),
  ...(random.chance(0.3) && !isIpv6
    ? { fdb: random.some(FILE_MACS).map((mac) => ({ mac, dst: random.pick(FILE_MEMBERS) })) }
    : {}),
});

/** A change of some keys; null = not written any more. */
export const changesOf = (random: Random, before: Settings, number: number): Settings => {
  const { mode } = before;
  const isIpv6 = before["local"] === LOCAL6;
  const isNumbered = random.chance(0.3);
  const addresses = random.weighted<Settings>([
    [3, {}],
    [1, { addresses: [`10.${number}.0.1/24`, `10.${number}.1.1/24`].slice(random.below(2)) }],
    [1, { addresses: null }],
  ]);
  if (mode === "ipip" || mode === "gre") {
    const numbered = mode === "gre" ? { key: number } : { remote: `192.0.2.${number}` };
    return { ...addresses, ...(isNumbered ? numbered : { ttl: 1 + random.below(200) }) };
  }
  const numbered = mode === "gretap" ? { key: number } : { id: number };
  const forgotten = random.some(["ageing", "mac-learning", "fwmark", "fdb"]).map((key) => [key, null]);
  return {
    ...addresses,
    ...Object.fromEntries(random.chance(0.3) ? forgotten : []),
    ...changeable(random, isIpv6),
    ...(random.chance(0.1) ? { "arp-proxy": random.chance(0.7) } : {}),
    ...(random.chance(0.3) && !isIpv6 ? { flood: random.some(FILE_MEMBERS) } : {}),
    ...(isNumbered ? numbered : {}),
  };
};

/** Wrong in one way, each with a code of its own (Model). @param present settings of tunnels that are there */
export const wrongSettings = (random: Random, right: Settings, present: readonly Settings[]): Settings => {
  const plain = { mode: "vxlan", id: numberOf(right), local: LOCAL };
  const numbered = present.filter(({ mode, local }) => mode === "vxlan" && local === LOCAL);
  return random.pick<Settings>([
    { ...plain, id: 99_999_999 },
    { ...plain, idd: 1 },
    { ...plain, link: NO_INTERFACE },
    { ...plain, local: FOREIGN_LOCAL },
    ...(numbered.length === 0 ? [] : [{ ...plain, id: random.pick(numbered)["id"] }]),
  ]);
};
