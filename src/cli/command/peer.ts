/** `peer` and `drop`: counters of GET /v1/stats, by remote VTEP and by reason. */
import type { LinkStatsJson, StatsJson } from "../../control/stats-json.ts";
import { DROP_REASONS } from "../../drop-reason.ts";
import { type Call, type Commands, deviceQuery, print, type Run, wantsStats } from "./call.ts";

type RemoteJson = LinkStatsJson["remotes"][number];

const statsOf = (call: Call): Promise<StatsJson> => call.client.getJson<StatsJson>(`/v1/stats${deviceQuery(call)}`);

const peerText = (call: Call, { ifname, ...remote }: RemoteJson & { ifname: string }): string => {
  const words: (string | number)[] = [remote.address, "dev", ifname, "port", remote.port, "vni", remote.vni];
  if (remote.path_mtu !== undefined) words.push("path_mtu", remote.path_mtu);
  words.push("learned", remote.learned);
  if (wantsStats(call)) {
    for (const direction of ["rx", "tx"] as const) {
      words.push(direction, "packets", remote[direction].packets, "bytes", remote[direction].bytes);
    }
  }
  return `${words.join(" ")}\n`;
};

const showPeers: Run = async (call) => {
  const { links } = await statsOf(call);
  const dst = call.values.get("dst");
  const peers = links
    .flatMap(({ ifname, remotes }) => remotes.map((remote) => ({ ifname, ...remote })))
    .filter(({ address }) => dst === undefined || address === dst);
  print(call, peers, (all) => all.map((peer) => peerText(call, peer)).join(""));
};

const MEANINGS: ReadonlyMap<string, string> = new Map(DROP_REASONS.map(({ name, meaning }) => [name, meaning]));

interface DropJson {
  /** The tunnel, or the socket whose datagrams were for none. */
  readonly ifname?: string;
  readonly socket?: string;
  readonly direction?: "encap" | "decap";
  readonly reason: string;
  readonly count: number;
  readonly meaning?: string;
}

const dropsOf = (drops: Readonly<Record<string, number>>, where: Partial<DropJson>): DropJson[] =>
  Object.entries(drops).map(([reason, count]) => {
    const meaning = MEANINGS.get(reason);
    return { ...where, reason, count, ...(meaning === undefined ? {} : { meaning }) };
  });

const dropText = ({ ifname, socket, direction = "decap", reason, count, meaning }: DropJson): string =>
  `${ifname ?? `socket ${socket}`} ${direction} ${reason} ${count}${meaning === undefined ? "" : ` (${meaning})`}\n`;

const showDrops: Run = async (call) => {
  const { links, sockets = [] } = await statsOf(call);
  const drops = [
    ...links.flatMap(({ ifname, drops: { encap, decap } }) => [
      ...dropsOf(encap, { ifname, direction: "encap" }),
      ...dropsOf(decap, { ifname, direction: "decap" }),
    ]),
    ...sockets.flatMap(({ socket, drops: own }) => dropsOf(own, { socket })),
  ];
  print(call, drops, (all) => all.map(dropText).join(""));
};

export const peerCommands: Commands = { "peer show": showPeers, "drop show": showDrops };
