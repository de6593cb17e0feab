/** What `systemctl status` shows of the daemon: one line, which is told again whenever it has become another one. */
import type { ServiceManager } from "./service-manager.ts";
import type { Tunnel } from "./tunnel.ts";

export interface StatusParts {
  readonly manager: Pick<ServiceManager, "ready" | "reloading" | "status">;
  readonly tunnels: ReadonlyMap<string, Pick<Tunnel, "underlayProblem">>;
  readonly workers: number;
  /** How many tunnels made by hand wait for what they need. */
  readonly absentees: () => number;
  /** Why changes over the control socket are refused; null = they are not. */
  readonly journalFailure: () => string | null;
}

export class StatusLine {
  private readonly parts: StatusParts;
  private told = "";
  private reloadFailure: string | undefined;

  constructor(parts: StatusParts) {
    this.parts = parts;
  }

  /** The start is over. */
  ready(): void {
    this.told = this.text();
    this.parts.manager.ready(this.told);
  }

  /** Once a second. */
  tick(): void {
    const text = this.text();
    if (text !== this.told) this.parts.manager.status(text);
    this.told = text;
  }

  /** Tells of a reload, whoever asked for it. */
  async during<T>(reload: () => Promise<T>): Promise<T> {
    this.parts.manager.reloading();
    try {
      const result = await reload();
      this.reloadFailure = undefined;
      return result;
    } catch (error) {
      this.reloadFailure = (error as Error).message;
      throw error;
    } finally {
      this.ready();
    }
  }

  private text(): string {
    const { tunnels, workers, absentees, journalFailure } = this.parts;
    const degraded = [...tunnels.values()].filter(({ underlayProblem }) => underlayProblem !== undefined).length;
    const journal = journalFailure();
    const parts = [
      `forwarding, tunnels: ${tunnels.size}`,
      ...(degraded > 0 ? [`with a degraded underlay: ${degraded}`] : []),
      ...(absentees() > 0 ? [`cannot be made yet: ${absentees()}`] : []),
      `workers: ${workers}`,
      ...(journal === null ? [] : [`changes are refused: ${journal}`]),
      ...(this.reloadFailure === undefined ? [] : [`the last reload failed: ${this.reloadFailure}`]),
    ];
    // A newline would begin another word of sd_notify(3).
    return parts.join(", ").replaceAll(/\s+/g, " ");
  }
}
