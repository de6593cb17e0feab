/** What happens in the tunnels, for whoever listens: control streams it to clients. Main thread; nothing is kept. */
import type { EventView } from "../dataplane/view.ts";

export class Events {
  private readonly listeners = new Set<(event: EventView) => void>();

  /** Whether it is worth making an event. */
  get hasListeners(): boolean {
    return this.listeners.size > 0;
  }

  emit(event: EventView): void {
    for (const listener of this.listeners) listener(event);
  }

  /** Calls `listener` for each event from now on, until the returned function is called. */
  listen(listener: (event: EventView) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }
}
