/** Tunnels of netplan's files. Most of its keys are ours. */
import { readFileSync } from "node:fs";
import { ConfigDocument } from "../../config/document.ts";
import { LayeredDocument } from "../../config/layered-document.ts";
import { problemsError } from "../../config/problem.ts";
import { VtepdError } from "../../errors.ts";
import { MODES } from "../../tunnel/modes.ts";
import { addRoute, finish, flagOf, type Imported, numberOr, setLocal, setRemote, TunnelDraft } from "./draft.ts";

type Map = Readonly<Record<string, unknown>>;
type Take = (draft: TunnelDraft, value: unknown) => void;

const isMap = (value: unknown): value is Map => typeof value === "object" && value !== null && !Array.isArray(value);
const mapAt = (parent: unknown, key: string): Map => {
  const value = isMap(parent) ? parent[key] : undefined;
  return isMap(value) ? value : {};
};
const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : value === undefined ? [] : [value];

const number =
  (key: string): Take =>
  (draft, value) =>
    draft.set(key, numberOr(value));
const flag =
  (key: string): Take =>
  (draft, value) =>
    draft.set(key, flagOf(value));
const flagOrInherit =
  (key: string): Take =>
  (draft, value) =>
    draft.set(key, value === "inherit" ? value : flagOf(value));
const without =
  (why: string): Take =>
  (draft, value) =>
    draft.note(`${why} (was ${JSON.stringify(value)})`);

const keyOf: Take = (draft, value) =>
  draft.set(
    "key",
    isMap(value) ? { input: numberOr(value["input"]), output: numberOr(value["output"]) } : numberOr(value),
  );

const CHECKSUMS: readonly unknown[] = ["udp", "zero-udp6-tx", "zero-udp6-rx"];
const NOTIFICATIONS: readonly unknown[] = ["l2-miss", "l3-miss"];

const checksums: Take = (draft, value) => {
  const known = listOf(value).filter((each) => CHECKSUMS.includes(each) && each !== "udp");
  if (known.length > 0) draft.set("checksums", ["udp", ...known]);
  for (const each of listOf(value)) if (!CHECKSUMS.includes(each)) draft.note(`checksums ${each}: not offered`);
};

/** netplan lets an address have a map of its own. */
const addresses: Take = (draft, value) => {
  for (const each of listOf(value)) {
    const [address] = isMap(each) ? Object.keys(each) : [String(each)];
    if (isMap(each)) draft.note(`address ${address}: its label or lifetime`);
    draft.add("addresses", address);
  }
};

const ROUTE_KEYS = ["to", "via"];
const routes: Take = (draft, value) => {
  for (const each of listOf(value)) {
    if (!isMap(each)) continue;
    const more = Object.entries(each)
      .filter(([key]) => !ROUTE_KEYS.includes(key))
      .map(([key, text]) => `${key} ${text}`);
    const via = each["via"] === undefined ? undefined : String(each["via"]);
    addRoute(draft, { to: String(each["to"]), via, more });
  }
};

/** In the order in which they are taken: a route wants to know of the remote VTEP. */
const KEYS: Readonly<Record<string, Take>> = {
  id: number("id"),
  local: (draft, value) => setLocal(draft, String(value)),
  remote: (draft, value) => setRemote(draft, String(value)),
  link: (draft, value) => draft.set("link", value),
  key: keyOf,
  keys: keyOf,
  port: number("port"),
  "port-range": (draft, value) => draft.set("port-range", listOf(value).map(numberOr)),
  ttl: number("ttl"),
  "type-of-service": number("type-of-service"),
  "do-not-fragment": flagOrInherit("do-not-fragment"),
  "flow-label": (draft, value) =>
    typeof numberOr(value) === "number" ? draft.set("flow-label", numberOr(value)) : draft.note(`flow-label ${value}`),
  "mac-learning": flag("mac-learning"),
  ageing: number("ageing"),
  aging: number("ageing"),
  limit: (draft, value) => {
    if (numberOr(value) !== 0) draft.set("limit", numberOr(value));
  },
  "arp-proxy": flag("arp-proxy"),
  notifications: (draft, value) =>
    draft.set(
      "notifications",
      listOf(value).filter((each) => NOTIFICATIONS.includes(each)),
    ),
  checksums,
  mtu: number("mtu"),
  macaddress: (draft, value) => draft.set("macaddress", value),
  addresses,
  routes,
  "short-circuit": without("short-circuit: vtepd does not route for its neighbours"),
  extensions: without("extensions: none of VXLAN's is offered"),
  "neigh-suppress": without(
    "neigh-suppress: a flag of the bridge's port, `bridge link set`; `arp-proxy` does the like",
  ),
  gateway4: (draft, value) => addRoute(draft, { to: "default", via: String(value), more: [] }),
  gateway6: (draft, value) => addRoute(draft, { to: "default", via: String(value), more: [] }),
};

/** Of netplan's own business. */
const SILENT = ["mode", "renderer", "optional", "critical", "ignore-carrier", "networkmanager", "openvswitch"];

const tunnelOf = (name: string, written: Map): TunnelDraft => {
  const draft = new TunnelDraft(name);
  draft.set("mode", written["mode"]);
  for (const [key, take] of Object.entries(KEYS)) if (written[key] !== undefined) take(draft, written[key]);
  for (const [key, value] of Object.entries(written)) {
    if (!Object.hasOwn(KEYS, key) && !SILENT.includes(key)) draft.note(`${key}: ${JSON.stringify(value)}`);
  }
  finish(draft);
  return draft;
};

const masters = (network: Map, kind: string, draft: TunnelDraft): void => {
  for (const [name, master] of Object.entries(mapAt(network, kind))) {
    const ports = listOf(isMap(master) ? master["interfaces"] : undefined);
    if (ports.includes(draft.name)) draft.note(`${kind} ${name} has it: ip link set ${draft.name} master ${name}`);
  }
};

const read = (file: string): ConfigDocument => {
  try {
    return new ConfigDocument({ text: readFileSync(file, "utf8"), file });
  } catch (cause) {
    throw new VtepdError("ERR_CONFIG_READ", `${file}: expected a readable file, got: ${(cause as Error).message}`, {
      cause,
    });
  }
};

/** @throws ERR_CONFIG_READ, ERR_CONFIG_SYNTAX */
export const importNetplan = (files: readonly string[]): Imported => {
  const documents = files.map(read);
  const problems = documents.flatMap((document) => document.problems);
  if (problems.length > 0) throw problemsError(problems);
  const network = mapAt(new LayeredDocument(documents).value, "network");
  const tunnels: TunnelDraft[] = [];
  const remarks: string[] = [];
  for (const [name, written] of Object.entries(mapAt(network, "tunnels"))) {
    const mode = isMap(written) ? written["mode"] : undefined;
    if (isMap(written) && MODES.has(String(mode))) {
      const draft = tunnelOf(name, written);
      for (const kind of ["bridges", "vrfs", "bonds"]) masters(network, kind, draft);
      tunnels.push(draft);
    } else remarks.push(`${name}: mode ${mode} is none of vtepd's`);
  }
  return { tunnels, remarks };
};
