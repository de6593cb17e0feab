/** `fdb`. */
import type { FdbJson } from "../../control/fdb-json.ts";
import { VtepdError } from "../../errors.ts";
import { fdbChange } from "../change.ts";
import { fdbText } from "../fdb-text.ts";
import { JsonList } from "../json-list.ts";
import { type Call, type Commands, linkPath, print, type Run, wantsJson, wantsPretty, wantsStats } from "./call.ts";
import { namesByIp } from "./device.ts";

type Wanted = (entry: FdbJson) => boolean;

/** Prints entries as they come, those that are wanted. Returns how many. */
const dump = async (call: Call, path: string, isWanted: Wanted): Promise<number> => {
  const list = new JsonList(wantsPretty(call));
  let count = 0;
  const text = (entry: FdbJson): string => {
    if (!wantsJson(call)) return `${fdbText(entry, wantsStats(call))}\n`;
    const { used: _used, updated: _updated, ...timeless } = entry;
    return list.add(wantsStats(call) ? entry : timeless);
  };
  await call.client.getLines(path, (lines) => {
    const entries = lines.map((line) => JSON.parse(line) as FdbJson).filter(isWanted);
    count += entries.length;
    call.out(entries.map(text).join(""));
  });
  if (wantsJson(call)) call.out(list.end());
  return count;
};

const stateFilter = ({ values }: Call): Wanted => {
  const state = values.has("dynamic") ? "learned" : (values.get("state") ?? "all");
  if (state === "all") return () => true;
  const isStatic = state === "static" || state === "permanent";
  return (entry) => (entry.state === "permanent") === isStatic;
};

const showFdb: Run = async (call) => {
  const { values } = call;
  const dev = values.get("dev");
  const bridge = values.get("br");
  const ports = bridge === undefined ? undefined : namesByIp(call, ["master", bridge]);
  const [mac, dst] = [values.get("lladdr")?.toLowerCase(), values.get("dst")];
  const inState = stateFilter(call);
  const isWanted: Wanted = (entry) =>
    inState(entry) &&
    (mac === undefined || entry.mac === mac) &&
    (dst === undefined || entry.dst === dst) &&
    (ports === undefined || ports.has(entry.ifname ?? dev ?? ""));
  await dump(call, dev === undefined ? "/v1/fdb" : `${linkPath(dev)}/fdb`, isWanted);
};

const getFdb: Run = async (call) => {
  const { values } = call;
  const dev = values.get("dev")!;
  const mac = values.get("lladdr")!.toLowerCase();
  const vni = values.get("vni");
  const inState = stateFilter(call);
  const isWanted: Wanted = (entry) =>
    entry.mac === mac && inState(entry) && (vni === undefined || entry.vni === Number(vni));
  const found = await dump(call, `${linkPath(dev)}/fdb`, isWanted);
  if (found === 0) throw new VtepdError("ERR_FDB_ENTRY_NOT_FOUND", `no entry ${mac} dev ${dev}`);
};

const EXTERN_LEARN = "extern_learn: vtepd keeps the entry as a permanent one; it does not age, and no frame moves it";

const changeFdb =
  (verb: "add" | "append" | "replace"): Run =>
  (call) => {
    const { client, values } = call;
    if (values.has("extern_learn")) call.note(EXTERN_LEARN);
    const { op: _, dev, ...body } = fdbChange(verb)(values, values.get("dev")!);
    return client.send("POST", `${linkPath(dev)}/fdb`, body);
  };

const deleteFdb: Run = ({ client, values }) => {
  const dst = values.get("dst");
  const query = dst === undefined ? "" : `?dst=${encodeURIComponent(dst)}`;
  return client.send("DELETE", `${linkPath(values.get("dev")!)}/fdb/${values.get("lladdr")}${query}`);
};

/** What the words of `bridge fdb flush` come to; without any, learned entries. */
const flushedState = ({ values, words }: Call): string | undefined => {
  const isStatic = ["permanent", "static", "nodynamic"].some((word) => values.has(word));
  const isLearned = ["dynamic", "nopermanent", "nostatic"].some((word) => values.has(word));
  if (isStatic && isLearned) throw words.incomplete([], "no entry is both static and dynamic");
  if ((isStatic || isLearned) && values.has("state")) throw words.incomplete([], '"state" says it already');
  if (isStatic) return "static";
  return isLearned ? "learned" : values.get("state");
};

/** Says how many entries went, as `bridge` does not: a flush that took none is worth knowing of. */
const flushFdb: Run = async (call) => {
  const { client, values } = call;
  const query = new URLSearchParams();
  for (const key of ["dst", "port", "vni", "idle", "age"]) if (values.has(key)) query.set(key, values.get(key)!);
  if (values.has("lladdr")) query.set("mac", values.get("lladdr")!);
  const state = flushedState(call);
  if (state !== undefined) query.set("state", state);
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
  "fdb get": getFdb,
  "fdb flush": flushFdb,
};
