/**
 * Things that several tunnels share, such as sockets: made for the first who asks, unmade after the last has let go. What is
 * asked for is told by a key of text; equal keys get one thing.
 */
import { Undo } from "./undo.ts";

interface Shared<Thing> {
  readonly key: string;
  readonly thing: Thing;
  readonly undo: Undo;
  users: number;
}

export class Pool<Thing> {
  private readonly byKey = new Map<string, Shared<Thing>>();
  private readonly byThing = new Map<Thing, Shared<Thing>>();

  /** @param make pushes what unmakes it as it goes; when it throws, all of that is done */
  async acquire(key: string, make: (undo: Undo) => Promise<Thing>): Promise<Thing> {
    const known = this.byKey.get(key);
    if (known !== undefined) {
      known.users++;
      return known.thing;
    }
    const undo = new Undo();
    try {
      const shared = { key, thing: await make(undo), undo, users: 1 };
      this.byKey.set(key, shared);
      this.byThing.set(shared.thing, shared);
      return shared.thing;
    } catch (error) {
      await undo.run();
      throw error;
    }
  }

  async release(thing: Thing): Promise<void> {
    const shared = this.byThing.get(thing);
    if (shared === undefined || --shared.users > 0) return;
    this.byKey.delete(shared.key);
    this.byThing.delete(thing);
    await shared.undo.run();
  }

  /** All that is in use, oldest first. */
  list(): Thing[] {
    return [...this.byThing.keys()];
  }
}
