/** `fdb`. */
import type { FdbJson } from "../../control/fdb-json.ts";
import { fdbText } from "../fdb-text.ts";
import { JsonList } from "../json-list.ts";
import { type Commands, linkPath, print, type Run, wantsJson, wantsPretty, wantsStats } from "./call.ts";

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
  const { client, values } = call;
  const query = new URLSearchParams();
  for (const key of ["dst", "port", "vni", "state", "idle", "age"])
    if (values.has(key)) query.set(key, values.get(key)!);
  if (values.has("lladdr")) query.set("mac", values.get("lladdr")!);
  const path = `${linkPath(values.get("dev")!)}/fdb?${query}`;
  const answer = await client.sendForJson<{ flushed: number }>("DELETE", path);
  print(call, answer, ({ flushed }) => `flushed ${flushed}\n`);
};

export const fdbCommands: Commands = {
  "fdb show": showFdb,
  "fdb add": changeFdb("add"),
  "fdb append": changeFdb("append"),
  "fdb replace": changeFdb("replace"),
  "fdb del": deleteFdb,
  "fdb flush": flushFdb,
};
