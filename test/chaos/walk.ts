/**
 * A chaos walk: calls, reloads, deaths and restarts by chance, the same ones for the same seed. After each step vtepd has what
 * the model has, and nobody who pings through a tunnel of its own has lost an answer.
 *
 * Only what was under way when vtepd was killed is left to chance: each of those calls may have happened or not, and the model
 * follows what it finds.
 */
import type { Change } from "../../src/dataplane/change.ts";
import type { UnixAnswer } from "../support/unix-http.ts";
import { sleep, waitFor } from "../support/wait-for.ts";
import { isEthernet } from "./asked.ts";
import { deviceFor, entryChange, randomCall } from "./calls.ts";
import { Course } from "./course.ts";
import { edited, spoilt, type Tunnels } from "./files.ts";
import { Random } from "./random.ts";
import { PINNED, PINNED_LOCAL } from "./settings.ts";
import { World } from "./world.ts";

/** Calls that are under way when vtepd is killed: each doubles what may have happened. */
const MAX_UNDER_WAY = 4;

export interface Outcome {
  readonly steps: number;
  readonly restarts: number;
  /** Pings through tunnels that nobody touched. */
  readonly answers: number;
}

export class Walk extends Course {
  /** @throws Error with the seed and the steps when vtepd is not as the model */
  static async run(seed: number, seconds: number): Promise<Outcome> {
    const world = await World.make(new Random(seed + 1));
    const walk = new Walk(seed, world);
    try {
      await world.start(new Map());
      const end = performance.now() + seconds * 1000;
      while (performance.now() < end) await walk.step();
      return { steps: walk.steps, restarts: walk.restarts, answers: world.answers };
    } catch (error) {
      throw new Error(walk.story(error), { cause: error });
    } finally {
      await world.close();
    }
  }

  private async step(): Promise<void> {
    const { random } = this;
    const step = random.weighted<() => Promise<void>>([
      [60, () => this.change()],
      [4, () => this.crowd()],
      [1, () => this.churn()],
      [1, () => this.flush()],
      [10, () => this.reload()],
      [4, () => this.reloadSpoilt()],
      [3, () => this.applyText()],
      [2, () => this.deleteDevice()],
      [2, () => this.flap()],
      [2, () => this.killed()],
      [0.7, () => this.killedInReload()],
      [1, () => this.diskTrouble()],
      [1, () => this.restarted()],
      [0.5, () => this.waitForInterface()],
    ]);
    await step();
    await this.check(this.model);
    const lost = await this.world.lost();
    if (lost > 0) throw new Error(`${lost} pings through tunnels that nobody touched were lost`);
  }

  private async change(): Promise<void> {
    const changes = randomCall(this.random, this.model);
    this.tell("change", changes);
    const draft = this.model.clone();
    const expected = draft.run(changes);
    const answer = await this.call(changes);
    if (this.isUnkept(answer)) return;
    const { status, text } = answer;
    this.model = draft;
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

  /** Much that comes to nothing, which makes the journal long. */
  private async churn(): Promise<void> {
    const dev = deviceFor(this.random, this.model);
    this.tell("churn", dev);
    const changes = churnOf(dev);
    const expected = this.model.clone().run(changes);
    const answer = await this.call(changes);
    if (this.isUnkept(answer)) return;
    if ((answer.status === 204) !== (expected === undefined)) throw new Error(`unexpected: ${answer.text}`);
  }

  /** All static entries of a tunnel go, those of the file until it is read again. */
  private async flush(): Promise<void> {
    const dev = deviceFor(this.random, this.model);
    const settings = this.model.running(dev);
    if (settings === undefined || !isEthernet(settings)) return;
    this.tell("flush", dev);
    const { status, text } = await this.world.call("DELETE", `/v1/links/${dev}/fdb?state=static`);
    if (status !== 200) throw new Error(`expected success, got ${text}`);
    this.model.flush(dev);
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
    const isSignal = !this.isDiskInTrouble && this.random.chance(0.2);
    this.tell(isSignal ? "hang up" : "reload", [...next]);
    const expected = this.expectedDifference(next);
    const before = this.model.clone();
    const flaw = this.model.apply(next);
    if (flaw !== undefined) {
      await this.expectRefusal(flaw, this.world.call("POST", "/v1/config/reload"));
      this.world.writeFile(this.file);
      return;
    }
    this.model.disk = next;
    if (isSignal) {
      this.world.hangUp();
      await waitFor(async () => (await this.differenceFrom(this.model)).length === 0, { what: "the reload" }).catch(
        () => {},
      );
      return;
    }
    const answer = await this.world.call("POST", "/v1/config/reload");
    if (this.isUnkept(answer)) {
      this.model = before;
      this.world.writeFile(this.file);
    } else this.expectDifference(expected, answer);
  }

  /** What was said by hand does not fit the tunnels of a file. */
  private async expectRefusal(code: string, call: Promise<UnixAnswer>): Promise<void> {
    const { status, text } = await call;
    const isAsExpected = status >= 400 && (JSON.parse(text) as { code?: string }).code === code;
    if (!isAsExpected) throw new Error(`expected ${code}, got ${status} ${text}`);
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
    if (isCut) this.world.writeText(this.world.textOf(next).slice(0, -3));
    else this.world.writeFile(next);
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
    const text = this.world.textOf(next);
    this.world.writeFile(this.file);
    const flaw = this.model.apply(next);
    const answer = this.world.put(text, false);
    if (flaw === undefined) this.expectDifference(expected, await answer);
    else await this.expectRefusal(flaw, answer);
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
    // Much to write, and the journal may be rewritten for it.
    const churn = this.random.chance(0.4) ? churnOf(deviceFor(this.random, this.model)) : [];
    const delayMs = this.random.below(churn.length > 0 ? 200 : 30);
    this.tell("kill", { delayMs, calls, churn: churn.length });
    const churned = churn.length > 0 ? this.call(churn).catch(() => undefined) : undefined;
    const answers = calls.map((changes) => this.call(changes).catch(() => undefined));
    await sleep(delayMs);
    await this.killNow();
    await churned;
    const unsure: Change[][] = [];
    for (const [index, answer] of (await Promise.all(answers)).entries()) {
      if (answer === undefined) unsure.push(calls[index]!);
      else if (answer.status === 204) this.model.run(calls[index]!);
      else if (!this.isUnkept(answer)) throw new Error(`expected success, got ${answer.text}`);
    }
    this.tell("unanswered", unsure);
    await this.follow(this.outcomes(unsure));
  }

  /** The file is being brought into effect. */
  private async killedInReload(): Promise<void> {
    const next = edited(this.random, this.model, this.file);
    const delayMs = this.random.below(100);
    this.tell("kill in a reload", { delayMs, next: [...next] });
    this.world.writeFile(next);
    const answer = this.world.call("POST", "/v1/config/reload").catch(() => undefined);
    await sleep(delayMs);
    await this.killNow();
    await answer;
    this.model.disk = next;
    const applied = this.model.clone();
    applied.apply(next);
    await this.follow([this.model, applied]);
  }

  /** The state directory is full, or cannot be written to: what cannot be kept is refused, and all goes on. */
  private async diskTrouble(): Promise<void> {
    const { disk } = this.world;
    const isFull = this.random.chance(0.6);
    this.tell(isFull ? "the disk is full" : "the disk is read-only");
    this.isDiskInTrouble = true;
    if (isFull) disk.fill();
    else {
      await (this.random.chance(0.5) ? this.stopNow() : this.killNow());
      disk.setWritable(false);
      await this.startAgain([this.model]);
    }
    for (let count = 1 + this.random.below(8); count > 0; count--) {
      await this.check(this.model);
      const step = this.random.weighted<() => Promise<void>>([
        [6, () => this.change()],
        [2, () => this.churn()],
        [1, () => this.reload()],
        [1, () => this.killed()],
      ]);
      await step();
    }
    this.tell("the disk is as it was");
    if (isFull) disk.empty();
    else disk.setWritable(true);
    this.isDiskInTrouble = false;
    await this.churn();
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

/** Many entries that come and go. */
const churnOf = (dev: string): Change[] => {
  const mac = (n: number): string =>
    `02:00:00:01:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`;
  const macs = Array.from({ length: 4000 }, (_, n) => mac(n));
  return [
    ...macs.map((one): Change => ({ op: "fdb", dev, verb: "replace", mac: one, dst: "192.0.2.61" })),
    ...macs.map((one): Change => ({ op: "fdb-del", dev, mac: one })),
  ];
};
