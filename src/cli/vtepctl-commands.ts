/** What each command of vtepctl asks of the daemon and prints, keyed by object and verb. */
import type { EventJson } from "../control/event-routes.ts";
import type { FdbJson } from "../control/fdb-json.ts";
import type { LinkJson } from "../control/link-json.ts";
import type { NeighbourJson } from "../control/neighbour-json.ts";
import type { StatsJson, StatusJson } from "../control/stats-json.ts";
import type { ControlClient } from "./client.ts";
import type { Command } from "./command-line.ts";
import { fdbText } from "./fdb-text.ts";
import { JsonList, jsonText } from "./json-list.ts";
import { linkText } from "./link-text.ts";
import { eventText, neighbourText } from "./neighbour-text.ts";
import { statsText, statusText } from "./stats-text.ts";

interface Call {
  readonly client: ControlClient;
  readonly options: Command["options"];
  readonly values: Command["values"];
  readonly list: Command["list"];
  readonly out: (text: string) => void;
}

type Run = (call: Call) => Promise<void>;

const wantsJson = ({ options }: Call): boolean => options.has("json");
const wantsPretty = ({ options }: Call): boolean => options.has("pretty");
const wantsStats = ({ options }: Call): boolean => options.has("stats");

const linkPath = (dev: string): string => `/v1/links/${encodeURIComponent(dev)}`;

const showLinks: Run = async (call) => {
  const dev = call.values.get("dev");
  const links =
    dev === undefined
      ? await call.client.getJson<LinkJson[]>("/v1/links")
      : [await call.client.getJson<LinkJson>(linkPath(dev))];
  if (!wantsJson(call)) {
    call.out(links.map((link) => linkText(link, wantsStats(call))).join(""));
    return;
  }
  const withoutStats = ({ stats64: _, ...link }: LinkJson): Omit<LinkJson, "stats64"> => link;
  call.out(jsonText(wantsStats(call) ? links : links.map(withoutStats), wantsPretty(call)));
};

const rekey: Run = ({ client, values }) => client.send("PUT", `${linkPath(values.get("dev")!)}/associations`);

const showFdb: Run = async (call) => {
  const dev = call.values.get("dev");
  const path = dev === undefined ? "/v1/fdb" : `${linkPath(dev)}/fdb`;
  const parse = (line: string): FdbJson => JSON.parse(line) as FdbJson;
  if (!wantsJson(call)) {
    const text = (line: string): string => `${fdbText(parse(line), wantsStats(call))}\n`;
    await call.client.getLines(path, (lines) => call.out(lines.map(text).join("")));
    return;
  }
  const list = new JsonList(wantsPretty(call));
  const element = (line: string): string => {
    const entry = parse(line);
    const { used: _used, updated: _updated, ...timeless } = entry;
    return list.add(wantsStats(call) ? entry : timeless);
  };
  await call.client.getLines(path, (lines) => call.out(lines.map(element).join("")));
  call.out(list.end());
};

const changeFdb =
  (verb: "add" | "append" | "replace"): Run =>
  ({ client, values }) => {
    const number = (key: string): number | undefined => (values.has(key) ? Number(values.get(key)) : undefined);
    const body = {
      verb,
      mac: values.get("lladdr"),
      dst: values.get("dst"),
      port: number("port"),
      vni: number("vni"),
      via: values.get("via"),
      ...(values.has("sticky") ? { sticky: true } : {}),
    };
    return client.send("POST", `${linkPath(values.get("dev")!)}/fdb`, body);
  };

const deleteFdb: Run = ({ client, values }) => {
  const dst = values.get("dst");
  const query = dst === undefined ? "" : `?dst=${encodeURIComponent(dst)}`;
  return client.send("DELETE", `${linkPath(values.get("dev")!)}/fdb/${values.get("lladdr")}${query}`);
};

/** Says how many entries went, as `bridge` does not: a flush that took none is worth knowing of. */
const flushFdb: Run = async (call) => {
  const { client, values, out } = call;
  const query = new URLSearchParams();
  for (const key of ["dst", "port", "vni", "state", "idle", "age"])
    if (values.has(key)) query.set(key, values.get(key)!);
  if (values.has("lladdr")) query.set("mac", values.get("lladdr")!);
  const path = `${linkPath(values.get("dev")!)}/fdb?${query}`;
  const answer = await client.sendForJson<{ flushed: number }>("DELETE", path);
  out(wantsJson(call) ? jsonText(answer, wantsPretty(call)) : `flushed ${answer.flushed}\n`);
};

interface Member {
  readonly dst: string;
  readonly port?: number;
  readonly vni?: number;
  readonly via?: string;
}

const floodPath = (values: Command["values"]): string => `${linkPath(values.get("dev")!)}/flood`;

const showFlood: Run = async (call) => {
  const members = await call.client.getJson<Member[]>(floodPath(call.values));
  const text = ({ dst, ...own }: Member): string => `${["dst", dst, ...Object.entries(own).flat()].join(" ")}\n`;
  call.out(wantsJson(call) ? jsonText(members, wantsPretty(call)) : members.map(text).join(""));
};

const memberOf = (values: Command["values"]): Member => ({
  dst: values.get("dst")!,
  ...(values.has("port") ? { port: Number(values.get("port")) } : {}),
  ...(values.has("vni") ? { vni: Number(values.get("vni")) } : {}),
  ...(values.has("via") ? { via: values.get("via")! } : {}),
});

const addFlood: Run = ({ client, values }) => client.send("POST", floodPath(values), memberOf(values));

const deleteFlood: Run = ({ client, values }) => {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(memberOf(values))) query.set(key, String(value));
  return client.send("DELETE", `${floodPath(values)}?${query}`);
};

const setFlood: Run = ({ client, values, list }) => client.send("PUT", floodPath(values), list.map(memberOf));

const showNeighbours: Run = async (call) => {
  const dev = call.values.get("dev");
  const query = dev === undefined ? "" : `?dev=${encodeURIComponent(dev)}`;
  const neighbours = await call.client.getJson<NeighbourJson[]>(`/v1/neighbours${query}`);
  if (!wantsJson(call)) {
    call.out(neighbours.map((neighbour) => `${neighbourText(neighbour, wantsStats(call))}\n`).join(""));
    return;
  }
  const timeless = ({ used: _used, updated: _updated, ...rest }: NeighbourJson) => rest;
  call.out(jsonText(wantsStats(call) ? neighbours : neighbours.map(timeless), wantsPretty(call)));
};

const changeNeighbour =
  (verb: "add" | "replace"): Run =>
  ({ client, values }) =>
    client.send("POST", `${linkPath(values.get("dev")!)}/neighbours`, {
      verb,
      address: values.get("to"),
      mac: values.get("lladdr"),
      ...(values.has("router") ? { router: true } : {}),
    });

const deleteNeighbour: Run = ({ client, values }) =>
  client.send("DELETE", `${linkPath(values.get("dev")!)}/neighbours/${encodeURIComponent(values.get("to")!)}`);

const flushNeighbours: Run = async (call) => {
  const state = call.values.get("state") ?? "learned";
  const path = `${linkPath(call.values.get("dev")!)}/neighbours?state=${state}`;
  const answer = await call.client.sendForJson<{ flushed: number }>("DELETE", path);
  call.out(wantsJson(call) ? jsonText(answer, wantsPretty(call)) : `flushed ${answer.flushed}\n`);
};

/** Until it is interrupted or the daemon ends. Empty lines say that the daemon is alive. */
const monitor: Run = async (call) => {
  const dev = call.values.get("dev");
  const query = dev === undefined ? "" : `?dev=${encodeURIComponent(dev)}`;
  const text = (line: string): string => `${wantsJson(call) ? line : eventText(JSON.parse(line) as EventJson)}\n`;
  await call.client.getLines(`/v1/events${query}`, (lines) => {
    const events = lines.filter((line) => line !== "");
    if (events.length > 0) call.out(events.map(text).join(""));
  });
};

const showStats: Run = async (call) => {
  const dev = call.values.get("dev");
  const query = dev === undefined ? "" : `?dev=${encodeURIComponent(dev)}`;
  const stats = await call.client.getJson<StatsJson>(`/v1/stats${query}`);
  call.out(wantsJson(call) ? jsonText(stats, wantsPretty(call)) : statsText(stats));
};

const showStatus: Run = async (call) => {
  const status = await call.client.getJson<StatusJson>("/v1/status");
  call.out(wantsJson(call) ? jsonText(status, wantsPretty(call)) : statusText(status));
};

/** Every object and verb of the grammar. */
export const COMMANDS: Readonly<Record<string, Run>> = {
  "link show": showLinks,
  "link rekey": rekey,
  "fdb show": showFdb,
  "fdb add": changeFdb("add"),
  "fdb append": changeFdb("append"),
  "fdb replace": changeFdb("replace"),
  "fdb del": deleteFdb,
  "fdb flush": flushFdb,
  "flood show": showFlood,
  "flood add": addFlood,
  "flood del": deleteFlood,
  "flood set": setFlood,
  "neighbour show": showNeighbours,
  "neighbour add": changeNeighbour("add"),
  "neighbour replace": changeNeighbour("replace"),
  "neighbour del": deleteNeighbour,
  "neighbour flush": flushNeighbours,
  "monitor show": monitor,
  "stats show": showStats,
  "status show": showStatus,
};
