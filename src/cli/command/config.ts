/** `config`. */
import { readFileSync } from "node:fs";
import type { Difference } from "../../dataplane/desired-view.ts";
import { VtepdError } from "../../errors.ts";
import { checkFile } from "../check-file.ts";
import { differenceText } from "../difference-text.ts";
import type { Settings } from "../grammar/link-type.ts";
import { jsonText } from "../json-list.ts";
import { type Call, type Commands, print, type Run, wantsJson, wantsPretty } from "./call.ts";

interface WrittenConfig {
  readonly version: number;
  readonly daemon: Settings;
  readonly tunnels: Readonly<Record<string, Settings>>;
  readonly owners: Readonly<Record<string, string>>;
}

/** The file that says so; a tunnel that is not of the file has a comment. */
const configText = async (config: Partial<WrittenConfig>, owners: WrittenConfig["owners"]): Promise<string> => {
  const { Document, isMap, isScalar } = await import("yaml");
  const document = new Document(config);
  const tunnels = document.get("tunnels");
  for (const { key } of isMap(tunnels) ? tunnels.items : []) {
    if (isScalar(key) && owners[String(key.value)] === "control") key.commentBefore = " made by hand";
  }
  return document.toString();
};

/** What is in effect, in the form of the file. */
const showConfig: Run = async (call) => {
  const { owners, ...config } = await call.client.getJson<WrittenConfig>("/v1/config");
  const dev = call.values.get("dev");
  const tunnel = dev === undefined ? undefined : config.tunnels[dev];
  if (dev !== undefined && tunnel === undefined) throw new VtepdError("ERR_LINK_NOT_FOUND", `no tunnel ${dev}`);
  const shown = tunnel === undefined ? config : { version: config.version, tunnels: { [dev!]: tunnel } };
  if (wantsJson(call)) {
    call.out(jsonText({ ...shown, owners }, wantsPretty(call)));
    return;
  }
  call.out(await configText(shown, owners));
};

const read = (file: string): string => {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (cause) {
    throw new VtepdError("ERR_CONFIG_READ", `${file}: ${(cause as Error).message}`, { cause });
  }
};

/** As `vtepd --check`: asks no daemon. */
const checkConfig: Run = async ({ values, out }) => {
  const file = values.get("file")!;
  await checkFile(file);
  out(`${file}: ok\n`);
};

const put = ({ client, values }: Call, query: string): Promise<Difference> =>
  client.putText<Difference>(`/v1/config${query}`, "application/yaml", read(values.get("file")!));

const printDifference = (call: Call, difference: Difference): void => print(call, difference, differenceText);

/** Between what is in effect and a file, or the file of the daemon. */
const diffConfig: Run = async (call) => {
  const query = "?dry-run=true";
  const difference = call.values.has("file")
    ? await put(call, query)
    : await call.client.sendForJson<Difference>("POST", `/v1/config/reload${query}`);
  printDifference(call, difference);
};

const reloadConfig: Run = async (call) =>
  printDifference(call, await call.client.sendForJson<Difference>("POST", "/v1/config/reload"));

const applyConfig: Run = async (call) =>
  printDifference(call, await put(call, call.values.has("dry-run") ? "?dry-run=true" : ""));

export const configCommands: Commands = {
  "config show": showConfig,
  "config check": checkConfig,
  "config diff": diffConfig,
  "config reload": reloadConfig,
  "config apply": applyConfig,
};
