/** `neighbour`. */
import type { NeighbourJson } from "../../control/neighbour-json.ts";
import { neighbourChange } from "../change.ts";
import { jsonText } from "../json-list.ts";
import { neighbourText } from "../neighbour-text.ts";
import { type Commands, deviceQuery, linkPath, print, type Run, wantsJson, wantsPretty, wantsStats } from "./call.ts";

const showNeighbours: Run = async (call) => {
  const neighbours = await call.client.getJson<NeighbourJson[]>(`/v1/neighbours${deviceQuery(call)}`);
  if (!wantsJson(call)) {
    call.out(neighbours.map((neighbour) => `${neighbourText(neighbour, wantsStats(call))}\n`).join(""));
    return;
  }
  const timeless = ({ used: _used, updated: _updated, ...rest }: NeighbourJson) => rest;
  call.out(jsonText(wantsStats(call) ? neighbours : neighbours.map(timeless), wantsPretty(call)));
};

const changeNeighbour =
  (verb: "add" | "replace"): Run =>
  ({ client, values }) => {
    const { op: _, dev, ...body } = neighbourChange(verb)(values, values.get("dev")!);
    return client.send("POST", `${linkPath(dev)}/neighbours`, body);
  };

const deleteNeighbour: Run = ({ client, values }) =>
  client.send("DELETE", `${linkPath(values.get("dev")!)}/neighbours/${encodeURIComponent(values.get("to")!)}`);

const flushNeighbours: Run = async (call) => {
  const state = call.values.get("state") ?? "learned";
  const path = `${linkPath(call.values.get("dev")!)}/neighbours?state=${state}`;
  const answer = await call.client.sendForJson<{ flushed: number }>("DELETE", path);
  print(call, answer, ({ flushed }) => `flushed ${flushed}\n`);
};

export const neighbourCommands: Commands = {
  "neighbour show": showNeighbours,
  "neighbour add": changeNeighbour("add"),
  "neighbour replace": changeNeighbour("replace"),
  "neighbour del": deleteNeighbour,
  "neighbour flush": flushNeighbours,
};
