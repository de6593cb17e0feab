/** Reads a configuration file. Every problem in it is found and told in one error. */
import { readFileSync } from "node:fs";
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

/** The tunnels of a file that are right one by one, and what is wrong with the others. */
const readTunnels = (
  document: ConfigDocument,
): { tunnels: TunnelConfig[]; hostGateways: HostGatewayConfig[]; problems: Problem[] } => {
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
    if (document.valueAt([...path, "mode"]).value === HOST_GATEWAY) {
      const gateway = hostGatewaySchema.safeParse(document.valueAt(path).value);
      if (gateway.success) hostGateways.push({ name, ...gateway.data });
      else problems.push(...explain(gateway.error.issues, path, document));
      continue;
    }
    const tunnel = tunnelSchema.safeParse(document.valueAt(path).value);
    if (tunnel.success) {
      tunnels.push({ name, ...tunnel.data });
    } else {
      problems.push(...explain(tunnel.error.issues, path, document));
    }
  }
  return { tunnels, hostGateways, problems };
};

/**
 * @param fileName stands before line and column in messages
 * @throws VtepdError ERR_CONFIG_SYNTAX, ERR_CONFIG_KEY, ERR_CONFIG_VALUE or ERR_CONFIG_CONFLICT, whichever the first problem
 * in the file is; the message has one line per problem
 */
export const parseConfig = (text: string, fileName: string): Config => {
  const document = new ConfigDocument(text, fileName);
  if (document.problems.length > 0) {
    throw problemsError(fileName, document.problems);
  }
  const frame = frameSchema.safeParse(document.value);
  const { tunnels, hostGateways, problems } = readTunnels(document);
  if (!frame.success) {
    problems.push(...explain(frame.error.issues, [], document));
  }
  problems.push(...findConflicts(tunnels, document));
  const report = (path: KeyPath, message: string): void => {
    problems.push({ code: "ERR_CONFIG_CONFLICT", place: document.valuePlace(path), path, message });
  };
  checkHostGateways(hostGateways, report);
  checkKeptRoutes(tunnels, hostGateways, report);
  if (!frame.success || problems.length > 0) {
    throw problemsError(fileName, problems);
  }
  return { ...frame.data, tunnels, hostGateways };
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
