/** What shall be, in memory: checks settings as the daemon does, and makes links of a FakeVtep of them. */
import type { Config } from "../../src/config/config.ts";
import { differenceOf } from "../../src/config/difference.ts";
import { tunnelJsonSchema } from "../../src/config/json-schema.ts";
import { parseConfig, readSettings } from "../../src/config/load.ts";
import type { DesiredState, Difference, Settings, WrittenLink } from "../../src/dataplane/desired-view.ts";
import { VtepdError } from "../../src/errors.ts";
import { type FakeVtep, fakeLink } from "./fake-vtep.ts";

export class FakeDesired implements DesiredState {
  /** Of the configuration file. */
  file = "version: 1\n";
  private readonly service: FakeVtep;
  private present: Config = parseConfig("version: 1\n", "vtepd.yaml");
  readonly byHand = new Map<string, Settings>();

  constructor(service: FakeVtep) {
    this.service = service;
  }

  written(): ReturnType<DesiredState["written"]> {
    const { daemon, tunnels } = this.present.settings;
    const ofFile = Object.entries(tunnels).map(([name, settings]) => [name, { owner: "config", settings }] as const);
    const links: (readonly [string, WrittenLink])[] = [...ofFile];
    for (const [name, settings] of this.byHand) links.push([name, { owner: "control", settings }]);
    return { daemon, tunnels: Object.fromEntries(links) };
  }

  waiting(): undefined {}

  settingsSchema(): object {
    return tunnelJsonSchema();
  }

  async addLink(name: string, settings: Settings): Promise<void> {
    if (this.byHand.has(name))
      throw new VtepdError("ERR_DEVICE_EXISTS", `${name} is a tunnel already`, { path: "name" });
    const [tunnel] = readSettings({ [name]: settings }).tunnels;
    this.byHand.set(name, settings);
    this.service.addLink(fakeLink(name, { vni: tunnel!.id, mode: tunnel!.mode, port: tunnel!.port }));
  }

  async changeLink(name: string, changes: Settings): Promise<void> {
    const before = this.byHand.get(name);
    if (before === undefined) throw new VtepdError("ERR_LINK_NOT_FOUND", `got "${name}"`);
    const next = Object.entries({ ...before, ...changes }).filter(([, value]) => value !== null);
    readSettings({ [name]: Object.fromEntries(next) });
    this.byHand.set(name, Object.fromEntries(next));
  }

  async deleteLink(name: string): Promise<void> {
    if (!this.byHand.delete(name)) throw new VtepdError("ERR_LINK_NOT_FOUND", `got "${name}"`);
    this.service.removeLink(name);
  }

  reload(dryRun: boolean): Promise<Difference> {
    return this.applyText(this.file, dryRun);
  }

  async applyText(text: string, dryRun: boolean): Promise<Difference> {
    const next = parseConfig(text, "vtepd.yaml");
    const difference = differenceOf(this.present, next);
    if (!dryRun) this.present = next;
    return difference;
  }
}
