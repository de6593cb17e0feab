/** What happens in the tunnels, for whoever listens: control streams it to clients. Main thread; nothing is kept. */
import type { EventView } from "../dataplane/event-view.ts";

export class Events {
  private readonly listeners = new Set<(event: EventView) => void>();
  private readonly onListeners: (hasListeners: boolean) => void;

  /** @param onListeners told when the first listener comes and when the last one goes */
  constructor(onListeners: (hasListeners: boolean) => void = () => {}) {
    this.onListeners = onListeners;
  }

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
    if (this.listeners.size === 1) this.onListeners(true);
    return () => {
      if (this.listeners.delete(listener) && this.listeners.size === 0) this.onListeners(false);
    };
  }
}
