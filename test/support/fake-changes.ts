/** Changes of a FakeVtep and a FakeDesired, one after the other, kept nowhere. */
import type { Change, ChangeService } from "../../src/dataplane/change.ts";
import { ofChange } from "../../src/dataplane/change.ts";
import type { FdbFilter } from "../../src/dataplane/view.ts";
import type { FakeDesired } from "./fake-desired.ts";
import type { FakeVtep } from "./fake-vtep.ts";

export class FakeChanges implements ChangeService {
  private readonly service: FakeVtep;
  private readonly desired: FakeDesired;

  constructor(service: FakeVtep, desired: FakeDesired) {
    this.service = service;
    this.desired = desired;
  }

  async run(changes: readonly Change[]): Promise<void> {
    for (const [index, change] of changes.entries()) {
      try {
        await this.one(change);
      } catch (error) {
        throw changes.length === 1 ? error : ofChange(index, error);
      }
    }
  }

  async flushFdb(dev: string, filter: FdbFilter): Promise<number> {
    return this.service.flushFdb(dev, filter);
  }

  async flushNeighbours(dev: string, state: "learned" | "all"): Promise<number> {
    return this.service.flushNeighbours(dev, state);
  }

  private async one(change: Change): Promise<void> {
    const { service, desired } = this;
    if (change.op === "link-add") return desired.addLink(change.name, change.settings);
    if (change.op === "link-set") return desired.changeLink(change.name, change.settings);
    if (change.op === "link-del") return desired.deleteLink(change.name);
    const { dev } = change;
    if (change.op === "flood-set") {
      (await service.prepare(dev))();
      return service.setFlood(dev, change.members);
    }
    if (change.op === "fdb-del") return service.deleteFdb(dev, change.mac, change.dst);
    if (change.op === "neighbour-del") return service.deleteNeighbour(dev, change.address);
    const { op: _, dev: __, ...request } = change;
    if (change.op === "neighbour") {
      const { verb, ...neighbour } = request as typeof change;
      return service.changeNeighbour(dev, verb, neighbour);
    }
    const release = await service.prepare(dev);
    try {
      if (change.op === "fdb") {
        const { verb, ...entry } = request as typeof change;
        service.changeFdb(dev, verb, entry);
      } else if (change.op === "flood") service.addFlood(dev, request as typeof change);
      else service.deleteFlood(dev, request as typeof change);
    } finally {
      release();
    }
  }
}
