/** Reads a configuration file. Every problem in it is found and told in one error. */
import { readFileSync } from "node:fs";
import type { Settings } from "../dataplane/desired-view.ts";
import { VtepdError } from "../errors.ts";
import type { Config, HostGatewayConfig, TunnelConfig } from "./config.ts";
import { findConflicts } from "./conflicts.ts";
import { checkKeptRoutes } from "./direct-routing.ts";
import { ConfigDocument } from "./document.ts";
import { explain } from "./explain.ts";
import { checkHostGateways, HOST_GATEWAY, hostGatewaySchema } from "./host-gateway.ts";
import { type KeyPath, type Problem, problemsError } from "./problem.ts";
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
const readTunnels = (document: ConfigDocument): Tunnels => {
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

/**
 * @param fileName stands before line and column in messages
 * @throws VtepdError ERR_CONFIG_SYNTAX, ERR_CONFIG_KEY, ERR_CONFIG_VALUE or ERR_CONFIG_CONFLICT, whichever the first problem
 * in the file is; the message has one line per problem
 */
export const parseConfig = (text: string, fileName: string): Config => {
  const document = new ConfigDocument({ text, file: fileName });
  if (document.problems.length > 0) throw problemsError(document.problems);
  const frame = frameSchema.safeParse(document.value);
  const { tunnels, hostGateways, problems } = readTunnels(document);
  if (!frame.success) problems.push(...explain(frame.error.issues, [], document));
  if (!frame.success || problems.length > 0) throw problemsError(problems);
  const { version, daemon, tunnels: settings } = frame.data;
  const { value: written = {} } = document.valueAt(["daemon"]);
  return {
    version,
    daemon,
    tunnels,
    hostGateways,
    settings: { daemon: written ?? {}, tunnels: settings } as Config["settings"],
  };
};

/** @throws VtepdError ERR_CONFIG_READ, and what parseConfig throws */
export const loadConfig = (path: string): Config => {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new VtepdError("ERR_CONFIG_READ", `${path}: expected a readable file, got: ${(cause as Error).message}`, {
      cause,
    });
  }
  return parseConfig(text, path);
};
