/** What the steps of a chaos walk (walk.ts) stand on: the world, the model, and how they are compared, ended and started. */
import { appendFileSync } from "node:fs";
import type { Change } from "../../src/dataplane/change.ts";
import type { UnixAnswer } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";
import { deviceFor, entryChange, linkChange } from "./calls.ts";
import { edited, type Tunnels } from "./files.ts";
import { Model } from "./model.ts";
import { Random } from "./random.ts";
import { NAMES } from "./settings.ts";
import { differenceOf, stateOf } from "./state.ts";
import { SENTINEL_NAMES, type World } from "./world.ts";

/** Steps that are told when one fails. */
const SHOWN_STEPS = 150;

export class Course {
  private readonly seed: number;
  protected readonly random: Random;
  protected readonly world: World;
  protected model: Model = new Model();
  private readonly told: string[] = [];
  protected restarts = 0;
  /** Whether changes may be refused because they cannot be kept. */
  protected isDiskInTrouble = false;

  protected constructor(seed: number, world: World) {
    this.seed = seed;
    this.random = new Random(seed);
    this.world = world;
  }

  get steps(): number {
    return this.told.length;
  }

  /** On the disk. */
  protected get file(): Tunnels {
    return this.model.disk;
  }

  protected story(error: unknown): string {
    const steps = this.told.slice(-SHOWN_STEPS).join("\n");
    return `VTEPD_CHAOS_SEED=${this.seed}, step ${this.told.length}: ${(error as Error).message}\n${steps}\n${this.world.log}`;
  }

  tell(what: string, more: unknown = ""): void {
    const line = `${this.told.length} ${what} ${typeof more === "string" ? more : JSON.stringify(more)}`;
    this.told.push(line.slice(0, 3000));
    const trace = process.env["VTEPD_CHAOS_TRACE"];
    if (trace !== undefined) appendFileSync(trace, `${line}\n`);
  }

  protected async check(model: Model): Promise<void> {
    let difference = await this.differenceFrom(model);
    // What waits is tried again after a change, not as a part of it.
    if (difference.some((line) => line.includes("waiting"))) {
      await this.settle();
      difference = await this.differenceFrom(model);
    }
    if (difference.length > 0) throw new Error(`the state is another one:\n${difference.join("\n")}`);
  }

  protected async differenceFrom(...models: readonly Model[]): Promise<string[]> {
    const state = await stateOf(this.world.socket, this.world.left, SENTINEL_NAMES);
    const differences = models.map((model) => differenceOf(model.lines(), state));
    return differences.sort((a, b) => a.length - b.length)[0]!;
  }

  protected call(changes: readonly Change[]): Promise<UnixAnswer> {
    return this.world.call("POST", "/v1/changes", { changes });
  }

  /** Waits for what vtepd does by itself. */
  protected async settle(): Promise<void> {
    await waitFor(async () => (await this.differenceFrom(this.model)).length === 0, {
      timeoutMs: 20_000,
      what: "vtepd to be as it shall be",
    }).catch(() => {});
  }

  /** All that may have come of calls that were not answered. */
  protected outcomes(unsure: readonly Change[][]): Model[] {
    let possible = [this.model];
    for (const changes of unsure) {
      possible = possible.flatMap((model) => {
        const other = model.clone();
        other.run(changes);
        return [model, other];
      });
    }
    return possible;
  }

  protected async killNow(): Promise<void> {
    const lost = await this.world.kill();
    if (lost > 0) throw new Error(`${lost} pings were lost before the kill`);
  }

  protected async stopNow(): Promise<void> {
    const lost = await this.world.stop();
    if (lost > 0) throw new Error(`${lost} pings were lost before the stop`);
  }

  /** Another file may be there when it starts again. */
  protected async startAgain(models: readonly Model[], flags: readonly string[] = []): Promise<void> {
    const isSame = this.isDiskInTrouble || models.some(({ isInterfaceMissing }) => isInterfaceMissing);
    if (this.random.chance(0.3) && !isSame) {
      const next = edited(this.random, this.model, this.file);
      for (const model of models) model.disk = next;
      this.tell("edited", [...next]);
    }
    for (const model of models) model.restart(model.disk, flags.includes("--fresh"));
    this.restarts++;
    await this.world.start(models[0]!.disk, flags);
  }

  /** Calls that succeed in whatever order they come. */
  protected independentCalls(count: number): Change[][] {
    const { random, model } = this;
    const draft = model.clone();
    const touched = new Set<string>();
    const calls: Change[][] = [];
    for (let n = 0; n < count; n++) {
      const isLink = random.chance(0.5);
      const name = isLink ? random.pick(NAMES) : deviceFor(random, model);
      if (touched.has(name)) continue;
      const change = isLink ? linkChange(random, draft, name, [model]) : entryChange(random, model, name);
      if (draft.run([change]) !== undefined) continue;
      touched.add(name);
      calls.push([change]);
    }
    return calls;
  }

  /** vtepd has been killed, and starts again. @param possible all that may have happened before */
  protected async follow(possible: readonly Model[]): Promise<void> {
    await this.startAgain(possible);
    const state = await stateOf(this.world.socket, this.world.left, SENTINEL_NAMES);
    const differences = possible.map((model) => ({ model, difference: differenceOf(model.lines(), state) }));
    const [best] = differences.sort((a, b) => a.difference.length - b.difference.length);
    this.model = best!.model;
  }

  /** Whether an answer is that nothing can be kept now, which is then right. */
  protected isUnkept({ text }: UnixAnswer): boolean {
    return this.isDiskInTrouble && text.includes('"ERR_JOURNAL"');
  }
}
