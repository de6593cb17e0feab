/**
 * Reads a configuration: a file, and those of the directory beside it that are merged into it. Every problem in them is found
 * and told in one error.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Settings } from "../dataplane/desired-view.ts";
import { expectedGot, VtepdError } from "../errors.ts";
import type { Config, HostGatewayConfig, TunnelConfig } from "./config.ts";
import { findConflicts } from "./conflicts.ts";
import { checkKeptRoutes } from "./direct-routing.ts";
import { ConfigDocument } from "./document.ts";
import { explain } from "./explain.ts";
import { checkHostGateways, HOST_GATEWAY, hostGatewaySchema } from "./host-gateway.ts";
import { LayeredDocument } from "./layered-document.ts";
import type { PlacedValue } from "./placed-value.ts";
import { isSamePlace, type KeyPath, type Problem, problemsError } from "./problem.ts";
import { frameSchema, tunnelName } from "./schema.ts";
import { tunnelSchema } from "./tunnel-schema.ts";

interface Tunnels {
  readonly tunnels: TunnelConfig[];
  readonly hostGateways: HostGatewayConfig[];
  readonly problems: Problem[];
}

/** What a tunnel's settings have become, so that one of thousands can change without reading all of them again. */
const known = new WeakMap<object, Omit<TunnelConfig, "name">>();

/** The tunnels of a document that are right one by one, and what is wrong with the others. */
const readTunnels = (document: PlacedValue): Tunnels => {
  const tunnels: TunnelConfig[] = [];
  const hostGateways: HostGatewayConfig[] = [];
  const problems: Problem[] = [];
  for (const name of document.keysAt(["tunnels"])) {
    const path = ["tunnels", name];
    const namedWell = tunnelName.safeParse(name);
    if (!namedWell.success) {
      const expected = namedWell.error.issues[0]?.message;
      const message = `expected ${expected}, got ${JSON.stringify(name)}`;
      problems.push({ code: "ERR_CONFIG_VALUE", place: document.keyPlace(path), path, message });
    }
    const { value } = document.valueAt(path);
    const before = typeof value === "object" && value !== null ? known.get(value) : undefined;
    if (before !== undefined) {
      tunnels.push({ name, ...before });
      continue;
    }
    if (document.valueAt([...path, "mode"]).value === HOST_GATEWAY) {
      const gateway = hostGatewaySchema.safeParse(value);
      if (gateway.success) hostGateways.push({ name, ...gateway.data });
      else problems.push(...explain(gateway.error.issues, path, document));
      continue;
    }
    const tunnel = tunnelSchema.safeParse(value);
    if (tunnel.success) {
      known.set(value as object, tunnel.data);
      tunnels.push({ name, ...tunnel.data });
    } else {
      problems.push(...explain(tunnel.error.issues, path, document));
    }
  }
  problems.push(...findConflicts(tunnels, document));
  const report = (path: KeyPath, message: string): void => {
    problems.push({ code: "ERR_CONFIG_CONFLICT", place: document.valuePlace(path), path, message });
  };
  checkHostGateways(hostGateways, report);
  checkKeptRoutes(tunnels, hostGateways, report);
  return { tunnels, hostGateways, problems };
};

/** All tunnels, by what is written of each, wherever that is. @throws as parseConfig, without a place */
export const readSettings = (
  settings: Readonly<Record<string, Settings>>,
): Pick<Config, "tunnels" | "hostGateways"> => {
  const { tunnels, hostGateways, problems } = readTunnels(new ConfigDocument({ value: { tunnels: settings } }));
  if (problems.length > 0) throw problemsError(problems);
  return { tunnels, hostGateways };
};

/** A configuration file's text, and the name of the file in messages. */
export interface ConfigText {
  readonly text: string;
  readonly file: string;
}

const VERSION = 1;

/** A wrong version in one file is wrong whatever the others say. */
const checkVersion = (document: ConfigDocument): Problem[] => {
  const path = ["version"];
  const { present, value } = document.valueAt(path);
  if (!present || value === VERSION) return [];
  const message = expectedGot(String(VERSION), value);
  return [{ code: "ERR_CONFIG_VALUE", place: document.valuePlace(path), path, message }];
};

/**
 * @param texts in the order in which later ones overrule earlier ones; at least one
 * @throws VtepdError ERR_CONFIG_SYNTAX, ERR_CONFIG_KEY, ERR_CONFIG_VALUE or ERR_CONFIG_CONFLICT, whichever the first problem
 * in the files is; the message has one line per problem
 */
export const parseTexts = (texts: readonly ConfigText[]): Config => {
  const documents = texts.map((text) => new ConfigDocument(text));
  const unreadable = documents.flatMap(({ problems }) => problems);
  if (unreadable.length > 0) throw problemsError(unreadable);
  const document = documents.length === 1 ? documents[0]! : new LayeredDocument(documents);
  const frame = frameSchema.safeParse(document.value);
  const { tunnels, hostGateways, problems } = readTunnels(document);
  if (!frame.success) problems.push(...explain(frame.error.issues, [], document));
  const version = documents.length === 1 ? [] : documents.flatMap(checkVersion);
  problems.push(...version.filter(({ place }) => !problems.some((known) => isSamePlace(known.place, place))));
  if (!frame.success || problems.length > 0) throw problemsError(problems);
  const { version: format, daemon, tunnels: settings } = frame.data;
  const { value: written = {} } = document.valueAt(["daemon"]);
  return {
    version: format,
    daemon,
    tunnels,
    hostGateways,
    settings: { daemon: written ?? {}, tunnels: settings } as Config["settings"],
  };
};

/** @param fileName stands before line and column in messages. @throws as parseTexts */
export const parseConfig = (text: string, fileName: string): Config => parseTexts([{ text, file: fileName }]);

const isAbsent = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === "ENOENT";

const unreadable = (path: string, expected: string, cause: unknown): VtepdError =>
  new VtepdError("ERR_CONFIG_READ", `${path}: expected ${expected}, got: ${(cause as Error).message}`, { cause });

const readText = (file: string): ConfigText => {
  try {
    return { text: readFileSync(file, "utf8"), file };
  } catch (cause) {
    throw unreadable(file, "a readable file", cause);
  }
};

/** The directory whose files are merged into a configuration file. */
const directoryOf = (path: string): string => `${path}.d`;

/** `*.yaml` of the directory, in the order of their names; empty when there is no directory. */
const filesOfDirectory = (directory: string): string[] => {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (cause) {
    if (isAbsent(cause)) return [];
    throw unreadable(directory, "a readable directory", cause);
  }
  return names
    .filter((name) => name.endsWith(".yaml") && !name.startsWith("."))
    .sort()
    .map((name) => join(directory, name));
};

/**
 * The configuration of a file and of the directory beside it. The file itself may be missing if the directory has one.
 * @throws VtepdError ERR_CONFIG_READ, and what parseTexts throws
 */
export const loadConfig = (path: string): Config => {
  const more = filesOfDirectory(directoryOf(path)).map(readText);
  const first = more.length > 0 && !existsSync(path) ? [] : [readText(path)];
  return parseTexts([...first, ...more]);
};
