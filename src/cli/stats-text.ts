/** Counters and the daemon's own state as text: one fact a line, each line understandable without the others. */
import type { LinkStatsJson, StatsJson, StatusJson, TrafficJson } from "../control/stats-json.ts";

const traffic = ({ rx, tx }: TrafficJson): string =>
  `rx packets ${rx.packets} bytes ${rx.bytes} tx packets ${tx.packets} bytes ${tx.bytes}`;

const dropLines = (prefix: string, drops: Readonly<Record<string, number>>): string[] =>
  Object.entries(drops).map(([reason, count]) => `${prefix} ${reason} ${count}`);

const linkLines = ({
  ifname,
  flooded,
  reserved_bits,
  neighbour_answers,
  keepalives,
  fdb,
  drops,
  remotes,
  ...counters
}: LinkStatsJson): string[] => [
  `${ifname} ${traffic(counters)} flooded ${flooded} reserved_bits ${reserved_bits} neighbour_answers ${neighbour_answers}${keepalives === 0 ? "" : ` keepalives ${keepalives}`}`,
  `${ifname} fdb learns ${fdb.learns} moves ${fdb.moves} damped ${fdb.moves_damped} aged ${fdb.aged} full ${fdb.full} remote_full ${fdb.remote_full} evicted ${fdb.evicted}`,
  ...dropLines(`${ifname} drop encap`, drops.encap),
  ...dropLines(`${ifname} drop decap`, drops.decap),
  ...remotes.map(
    (remote) =>
      `${ifname} remote ${remote.address} port ${remote.port} vni ${remote.vni}${remote.path_mtu === undefined ? "" : ` path_mtu ${remote.path_mtu}`} learned ${remote.learned} ${traffic(remote)}`,
  ),
];

export const statsText = ({ links, sockets = [] }: StatsJson): string =>
  [...links.flatMap(linkLines), ...sockets.flatMap(({ socket, drops }) => dropLines(`socket ${socket} drop`, drops))]
    .map((line) => `${line}\n`)
    .join("");

/** `1d2h3m4s`, from the first unit that is not zero. */
const duration = (seconds: number): string => {
  const whole = Math.floor(seconds);
  const parts = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "m"],
    [whole % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first === -1 ? -1 : first)
    .map(([count, unit]) => `${count}${unit}`)
    .join("");
};

const journalLine = (journal: StatusJson["journal"]): string => {
  if (journal === undefined) return "journal none";
  const { path, bytes, waiting, failure } = journal;
  const late = waiting === 0 ? "" : ` waiting ${waiting}`;
  return `journal ${path} bytes ${bytes}${late}${failure === undefined ? "" : ` failed: ${failure}`}`;
};

export const statusText = (status: StatusJson): string => {
  const { version, node, pid, uptime, config, links, fdb, offload, workers, journal, reload } = status;
  return [
    `vtepd ${version} node ${node} pid ${pid} up ${duration(uptime)}`,
    `config ${config}${reload.successful ? "" : " (the last reload failed)"}`,
    journalLine(journal),
    `links ${links}`,
    `fdb entries ${fdb.entries} capacity ${fdb.capacity}`,
    `offload ${offload.tier} in_use ${offload.in_use.join(",") || "none"} segment_refused ${offload.segment_refused} segment_lost ${offload.segment_lost}`,
    ...Object.entries(offload.not_in_use).map(([name, reason]) => `offload not ${name}: ${reason}`),
    ...workers.map(
      ({ id, wakeups, batches, frames, overflow, errors }) =>
        `worker ${id} wakeups ${wakeups} batches ${batches} frames ${frames} overflow ${overflow} errors ${errors}`,
    ),
  ]
    .map((line) => `${line}\n`)
    .join("");
};
