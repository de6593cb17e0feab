/** The host gateways in force; others can take their place. Callers take turns (turns.ts). */
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import type { HostGatewayConfig } from "../config/config.ts";
import type { RouteView } from "../dataplane/view.ts";
import { HostGateways } from "./host-gateway.ts";

export class Gateways {
  private readonly log: Logger;
  private configs: readonly HostGatewayConfig[] = [];
  private present: HostGateways;

  constructor(log: Logger) {
    this.log = log;
    this.present = new HostGateways([], log);
  }

  /** Makes the host's routes these. @throws as HostGateways.start, then the ones of before are back */
  async set(configs: readonly HostGatewayConfig[]): Promise<void> {
    if (isDeepStrictEqual(configs, this.configs)) return;
    const before = this.configs;
    await this.present.stop();
    try {
      await this.start(configs);
    } catch (error) {
      await this.present.stop();
      await this.start(before);
      throw error;
    }
  }

  list(): RouteView[] {
    return this.present.list();
  }

  async stop(): Promise<void> {
    await this.present.stop();
  }

  private async start(configs: readonly HostGatewayConfig[]): Promise<void> {
    this.configs = configs;
    this.present = new HostGateways(configs, this.log);
    await this.present.start();
  }
}
