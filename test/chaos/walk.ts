/**
 * A chaos walk: calls, reloads, deaths and restarts by chance, the same ones for the same seed. After each step vtepd has what
 * the model has, and nobody who pings through a tunnel of its own has lost an answer.
 *
 * Only what was under way when vtepd was killed is left to chance: each of those calls may have happened or not, and the model
 * follows what it finds.
 */
import { appendFileSync } from "node:fs";
import type { Change } from "../../src/dataplane/change.ts";
import type { UnixAnswer } from "../support/unix-http.ts";
import { sleep, waitFor } from "../support/wait-for.ts";
import { deviceFor, entryChange, linkChange, randomCall } from "./calls.ts";
import { edited, spoilt, type Tunnels } from "./files.ts";
import { Model } from "./model.ts";
import { Random } from "./random.ts";
import { NAMES, PINNED, PINNED_LOCAL } from "./settings.ts";
import { differenceOf, stateOf } from "./state.ts";
import { SENTINEL_NAMES, World } from "./world.ts";

/** Steps that are told when one fails. */
const SHOWN_STEPS = 150;
/** Calls that are under way when vtepd is killed: each doubles what may have happened. */
const MAX_UNDER_WAY = 4;

export interface Outcome {
  readonly steps: number;
  readonly restarts: number;
  /** Pings through tunnels that nobody touched. */
  readonly answers: number;
}

export class Walk {
  private readonly seed: number;
  private readonly random: Random;
  private readonly world: World;
  private model: Model = new Model();
  private readonly told: string[] = [];
  private restarts = 0;

  private constructor(seed: number, world: World) {
    this.seed = seed;
    this.random = new Random(seed);
    this.world = world;
  }

  /** @throws Error with the seed and the steps when vtepd is not as the model */
  static async run(seed: number, seconds: number): Promise<Outcome> {
    const world = await World.make();
    const walk = new Walk(seed, world);
    try {
      await world.start(new Map());
      const end = performance.now() + seconds * 1000;
      let steps = 0;
      for (; performance.now() < end; steps++) await walk.step();
      return { steps, restarts: walk.restarts, answers: world.answers };
    } catch (error) {
      throw new Error(walk.story(error), { cause: error });
    } finally {
      await world.close();
    }
  }

  /** On the disk. */
  private get file(): Tunnels {
    return this.model.disk;
  }

  private story(error: unknown): string {
    const steps = this.told.slice(-SHOWN_STEPS).join("\n");
    return `VTEPD_CHAOS_SEED=${this.seed}, step ${this.told.length}: ${(error as Error).message}\n${steps}\n${this.world.log}`;
  }

  private async step(): Promise<void> {
    const { random } = this;
    const step = random.weighted<() => Promise<void>>([
      [60, () => this.change()],
      [4, () => this.crowd()],
      [1, () => this.churn()],
      [10, () => this.reload()],
      [4, () => this.reloadSpoilt()],
      [3, () => this.applyText()],
      [2, () => this.deleteDevice()],
      [2, () => this.flap()],
      [2, () => this.killed()],
      [1, () => this.restarted()],
      [0.5, () => this.waitForInterface()],
    ]);
    await step();
    await this.check(this.model);
    const lost = await this.world.lost();
    if (lost > 0) throw new Error(`${lost} pings through tunnels that nobody touched were lost`);
  }

  private tell(what: string, more: unknown = ""): void {
    const line = `${this.told.length} ${what} ${typeof more === "string" ? more : JSON.stringify(more)}`;
    this.told.push(line.slice(0, 3000));
    const trace = process.env["VTEPD_CHAOS_TRACE"];
    if (trace !== undefined) appendFileSync(trace, `${line}\n`);
  }

  private async check(model: Model): Promise<void> {
    const difference = await this.differenceFrom(model);
    if (difference.length > 0) throw new Error(`the state is another one:\n${difference.join("\n")}`);
  }

  private async differenceFrom(...models: readonly Model[]): Promise<string[]> {
    const state = await stateOf(this.world.socket, this.world.left, SENTINEL_NAMES);
    const differences = models.map((model) => differenceOf(model.lines(), state));
    return differences.sort((a, b) => a.length - b.length)[0]!;
  }

  private call(changes: readonly Change[]): Promise<UnixAnswer> {
    return this.world.call("POST", "/v1/changes", { changes });
  }

  private async change(): Promise<void> {
    const changes = randomCall(this.random, this.model);
    this.tell("change", changes);
    const expected = this.model.run(changes);
    const { status, text } = await this.call(changes);
    const { code, path = "" } = (status === 204 ? {} : JSON.parse(text)) as { code?: string; path?: string };
    const isAsExpected = code === expected?.code && path.startsWith(expected?.path ?? "");
    if (!isAsExpected) throw new Error(`expected ${JSON.stringify(expected ?? "success")}, got ${status} ${text}`);
  }

  /** Changes that have nothing to do with each other, at once. */
  private async crowd(): Promise<void> {
    const calls = this.independentCalls(8);
    this.tell("crowd", calls);
    const answers = await Promise.all(calls.map((changes) => this.call(changes)));
    for (const { status, text } of answers) if (status !== 204) throw new Error(`expected success, got ${text}`);
    for (const changes of calls) this.model.run(changes);
  }

  /** Calls that succeed in whatever order they come. */
  private independentCalls(count: number): Change[][] {
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

  /** Much that comes to nothing, which makes the journal long. */
  private async churn(): Promise<void> {
    const dev = deviceFor(this.random, this.model);
    this.tell("churn", dev);
    const mac = (n: number): string =>
      `02:00:00:01:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`;
    const macs = Array.from({ length: 2000 }, (_, n) => mac(n));
    const changes = [
      ...macs.map((one): Change => ({ op: "fdb", dev, verb: "add", mac: one, dst: "192.0.2.61" })),
      ...macs.map((one): Change => ({ op: "fdb-del", dev, mac: one })),
    ];
    const expected = this.model.run(changes);
    const { status, text } = await this.call(changes);
    if ((status === 204) !== (expected === undefined)) throw new Error(`expected another answer than ${text}`);
  }

  private async reload(): Promise<void> {
    const next = this.random.chance(0.9) ? edited(this.random, this.model, this.file) : this.file;
    this.world.writeFile(next);
    if (this.random.chance(0.2)) {
      this.tell("dry run", [...next]);
      const { status, text } = await this.world.call("POST", "/v1/config/reload?dry-run=true");
      if (status !== 200) throw new Error(`expected success, got ${text}`);
      this.world.writeFile(this.file);
      return;
    }
    const isSignal = this.random.chance(0.2);
    this.tell(isSignal ? "hang up" : "reload", [...next]);
    const expected = this.expectedDifference(next);
    const flaw = this.model.apply(next);
    if (flaw !== undefined) throw new Error(`the walk made a file that is wrong: ${flaw}`);
    this.model.disk = next;
    if (isSignal) {
      this.world.hangUp();
      await waitFor(async () => (await this.differenceFrom(this.model)).length === 0, { what: "the reload" }).catch(
        () => {},
      );
    } else this.expectDifference(expected, await this.world.call("POST", "/v1/config/reload"));
  }

  private expectedDifference(next: Tunnels): object {
    const names = this.model.names;
    return {
      added: [...next.keys()].filter((name) => this.model.running(name) === undefined).sort(),
      removed: names.filter((name) => this.model.file.has(name) && !next.has(name)).sort(),
    };
  }

  private expectDifference(expected: object, { status, text }: UnixAnswer): void {
    const { added = [], removed = [] } = JSON.parse(text) as { added?: string[]; removed?: string[] };
    const got = { added: added.sort(), removed: removed.sort() };
    if (status !== 200 || JSON.stringify(got) !== JSON.stringify(expected)) {
      throw new Error(`expected the difference ${JSON.stringify(expected)}, got ${status} ${text}`);
    }
  }

  /** A file that is wrong, at once or when half of it is done. */
  private async reloadSpoilt(): Promise<void> {
    const next = spoilt(this.random, this.model, this.file);
    const isCut = this.random.chance(0.2);
    this.tell("reload what is wrong", isCut ? "{" : [...next]);
    const text = this.world.writeFile(next);
    if (isCut) this.world.writeText(text.slice(0, -3));
    const expected = isCut ? "ERR_CONFIG_SYNTAX" : this.model.apply(next);
    const answer = await this.world.call("POST", "/v1/config/reload");
    const { code } = JSON.parse(answer.text) as { code?: string };
    if (expected === undefined || code !== expected) throw new Error(`expected ${expected}, got ${answer.text}`);
    this.world.writeFile(this.file);
  }

  /** Another file than that on the disk, until the next reload or start. */
  private async applyText(): Promise<void> {
    const next = edited(this.random, this.model, this.model.file);
    this.tell("apply", [...next]);
    const expected = this.expectedDifference(next);
    const text = this.world.writeFile(next);
    this.world.writeFile(this.file);
    this.model.apply(next);
    this.expectDifference(expected, await this.world.put(text, false));
  }

  private async deleteDevice(): Promise<void> {
    const { names } = this.model;
    if (names.length === 0) return;
    const name = this.random.pick(names);
    this.tell("delete the device", name);
    this.world.left.ip("link", "del", name);
    this.model.deviceDeleted(name);
    await this.settle();
  }

  /** Waits for what vtepd does by itself. */
  private async settle(): Promise<void> {
    await waitFor(async () => (await this.differenceFrom(this.model)).length === 0, {
      timeoutMs: 20_000,
      what: "vtepd to be as it shall be",
    }).catch(() => {});
  }

  /** The wire that tunnels made by hand are on fails for a moment. */
  private async flap(): Promise<void> {
    const { left } = this.world;
    const isAddress = this.random.chance(0.5);
    const words = ["address", isAddress ? "del" : "add", `${PINNED_LOCAL}/24`, "dev", PINNED];
    this.tell("flap", isAddress ? "address" : "link");
    if (isAddress) left.ip(...words);
    else left.ip("link", "set", PINNED, "down");
    const change = entryChange(this.random, this.model, deviceFor(this.random, this.model));
    this.tell("meanwhile", change);
    const expected = this.model.run([change]);
    const { status, text } = await this.call([change]);
    if ((status === 204) !== (expected === undefined)) throw new Error(`expected another answer than ${text}`);
    await sleep(this.random.below(100));
    if (isAddress) left.ip("address", "add", `${PINNED_LOCAL}/24`, "dev", PINNED);
    else left.ip("link", "set", PINNED, "up");
  }

  /** Calls are under way, and nobody knows which of them have happened. */
  private async killed(): Promise<void> {
    const calls = this.independentCalls(this.random.below(MAX_UNDER_WAY + 1));
    const delayMs = this.random.below(30);
    this.tell("kill", { delayMs, calls });
    const answers = calls.map((changes) => this.call(changes).catch(() => undefined));
    await sleep(delayMs);
    await this.killNow();
    const unsure: Change[][] = [];
    for (const [index, answer] of (await Promise.all(answers)).entries()) {
      if (answer === undefined) unsure.push(calls[index]!);
      else if (answer.status === 204) this.model.run(calls[index]!);
      else throw new Error(`expected success, got ${answer.text}`);
    }
    const possible = this.outcomes(unsure);
    await this.startAgain(possible);
    const state = await stateOf(this.world.socket, this.world.left, SENTINEL_NAMES);
    const differences = possible.map((model) => ({ model, difference: differenceOf(model.lines(), state) }));
    const [best] = differences.sort((a, b) => a.difference.length - b.difference.length);
    this.tell("unanswered", unsure);
    this.model = best!.model;
  }

  /** All that may have come of calls that were not answered. */
  private outcomes(unsure: readonly Change[][]): Model[] {
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

  private async killNow(): Promise<void> {
    const lost = await this.world.kill();
    if (lost > 0) throw new Error(`${lost} pings were lost before the kill`);
  }

  private async stopNow(): Promise<void> {
    const lost = await this.world.stop();
    if (lost > 0) throw new Error(`${lost} pings were lost before the stop`);
  }

  /** Another file may be there when it starts again. */
  private async startAgain(models: readonly Model[], flags: readonly string[] = []): Promise<void> {
    if (this.random.chance(0.3) && !models.some(({ isInterfaceMissing }) => isInterfaceMissing)) {
      const next = edited(this.random, this.model, this.file);
      for (const model of models) model.disk = next;
      this.tell("edited", [...next]);
    }
    for (const model of models) model.restart(model.disk, flags.includes("--fresh"));
    this.restarts++;
    await this.world.start(models[0]!.disk, flags);
  }

  private async restarted(): Promise<void> {
    const flags = this.random.chance(0.15) ? ["--fresh"] : [];
    this.tell("restart", flags);
    await this.stopNow();
    await this.startAgain([this.model], flags);
  }

  /** vtepd starts without an interface that tunnels made by hand are on; they come when it does. */
  private async waitForInterface(): Promise<void> {
    this.tell("restart without the interface");
    if (this.random.chance(0.5)) await this.stopNow();
    else await this.killNow();
    this.world.unplug();
    this.model.isInterfaceMissing = true;
    await this.startAgain([this.model]);
    for (let count = this.random.below(6); count > 0; count--) {
      await this.check(this.model);
      await (this.random.chance(0.8) ? this.change() : this.reload());
    }
    if (this.random.chance(0.3)) {
      this.tell("restart, still without it");
      await this.killNow();
      await this.startAgain([this.model]);
    }
    await this.check(this.model);
    this.tell("the interface is back");
    this.world.plug();
    this.model.returned();
    await this.settle();
  }
}
