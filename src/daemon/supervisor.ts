/**
 * The data-plane workers as the main thread sees them: started together, told of port changes, stopped together.
 *
 * A command is posted to the worker's port and its eventfd signalled; the worker takes it between two batches and answers
 * with its number. A worker that ends by itself is a bug: `failed` resolves and the daemon ends, because frames hashed to
 * that worker's queue would be lost in silence.
 */
import { Worker } from "node:worker_threads";
import { addon } from "../binding/addon.ts";
import { allocateBatch } from "../dataplane/batch.ts";
import type { CaptureSetup } from "../dataplane/capture-tap.ts";
import { allocateCounters, type Counters, WORKER_WAKEUPS } from "../dataplane/counters.ts";
import type { TableMemory } from "../dataplane/tables.ts";
import { allocateUpcalls, UPCALL_KIND, UPCALL_UNKNOWN_VTEP, UpcallRing } from "../dataplane/upcall-ring.ts";
import type { PortChange, WorkerCommand, WorkerEvent, WorkerSetup } from "../dataplane/worker.ts";
import { VtepdError } from "../errors.ts";
import { raiseInliningLimits } from "./compiler.ts";
import { explainNative } from "./native-error.ts";

/** Small heaps: a worker's loop allocates nothing, its tables are shared memory. */
const HEAP_LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 32 };

export interface WorkerPlan {
  readonly count: number;
  /** CPUs to bind the workers to, in turn; empty = none. */
  readonly cpus: readonly number[];
  readonly busyPollUs: number;
}

/** What the daemon wants to hear from its workers. */
export interface WorkerEars {
  /** Called once per worker that had the port of a vanished device. */
  gone(port: number): void;
  /** A record of a worker's ring (dataplane/upcall-ring.ts), good during the call only. */
  upcall(record: Int32Array): void;
  /** So many events were too many for a worker's ring. */
  lostEvents(count: number): void;
}

interface Pending {
  resolve(): void;
  reject(error: unknown): void;
}

interface Member {
  readonly worker: Worker;
  readonly wakeFd: number;
  readonly counters: Counters;
  readonly status: Int32Array;
  readonly upcalls: UpcallRing;
  /** Lost events that were told of. */
  lostEvents: number;
  readonly pending: Map<number, Pending>;
  readonly ended: Promise<void>;
  /** Why it ended; commands are refused with it. */
  failure: VtepdError | undefined;
}

export class Supervisor {
  private readonly members: Member[];
  private nextNumber = 1;
  private stopping = false;
  private fail: (error: VtepdError) => void = () => {};
  readonly failed: Promise<VtepdError>;
  private readonly hears: WorkerEars;

  constructor(plan: WorkerPlan, tables: TableMemory, hears: WorkerEars) {
    this.hears = hears;
    const { count, cpus, busyPollUs } = plan;
    this.failed = new Promise((resolve) => {
      this.fail = resolve;
    });
    raiseInliningLimits();
    this.members = Array.from({ length: count }, (_, id) => {
      const cpu = cpus.length === 0 ? undefined : cpus[id % cpus.length];
      return this.start(id, { tables, cpu, busyPollUs });
    });
  }

  get count(): number {
    return this.members.length;
  }

  /** What the workers write and the main thread reads, one for each. */
  get memory(): { counters: Counters; status: Int32Array }[] {
    return this.members.map(({ counters, status }) => ({ counters, status }));
  }

  /** Each worker's counters. */
  get counters(): Counters[] {
    return this.members.map(({ counters }) => counters);
  }

  /** How often each worker has gone round its loop. */
  get rounds(): number[] {
    return this.members.map(({ counters }) => counters.worker[WORKER_WAKEUPS]!);
  }

  /** Makes each worker go round its loop once. */
  wake(): void {
    for (const { wakeFd, failure } of this.members) if (failure === undefined) addon.signalEvent(wakeFd);
  }

  /** Changes the epoll sets; resolves when every worker has done its part. @param changes one list per worker */
  async changePorts(changes: readonly (readonly PortChange[])[]): Promise<void> {
    await Promise.all(
      changes.map((list, id) =>
        list.length === 0 ? undefined : this.command(id, { type: "ports", number: this.nextNumber++, changes: list }),
      ),
    );
  }

  /** Begins a capture in all workers. @param setups one for each */
  async beginCapture(id: number, setups: readonly CaptureSetup[]): Promise<void> {
    await Promise.all(
      setups.map((setup, worker) => this.command(worker, { type: "capture", number: this.nextNumber++, id, setup })),
    );
  }

  async endCapture(id: number): Promise<void> {
    await Promise.all(
      this.members.map((_, worker) => this.command(worker, { type: "capture-end", number: this.nextNumber++, id })),
    );
  }

  /** Whether the workers shall tell of events. */
  watch(isWatched: boolean): void {
    for (const { upcalls } of this.members) upcalls.watch(isWatched);
  }

  /** Ends all workers and waits for them. */
  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(
      this.members.map(async (member, id) => {
        await Promise.race([
          this.command(id, { type: "stop", number: this.nextNumber++ }).catch(() => {}),
          member.ended,
        ]);
        await member.ended;
        addon.closeFd(member.wakeFd);
      }),
    );
  }

  private start(id: number, setup: Pick<WorkerSetup, "tables" | "cpu" | "busyPollUs">): Member {
    const wakeFd = addon.openEvent();
    const counters = allocateCounters();
    const batch = allocateBatch();
    const upcalls = allocateUpcalls();
    const workerData: WorkerSetup = { ...setup, counters, batch, upcalls, wakeFd };
    const worker = new Worker(new URL("../dataplane/worker.js", import.meta.url), {
      name: `vtepd-worker-${id}`,
      workerData,
      resourceLimits: HEAP_LIMITS,
    });
    const pending = new Map<number, Pending>();
    const ended = new Promise<void>((resolve) => {
      worker.on("error", (cause) => this.workerEnded(member, id, cause));
      worker.on("exit", (status) => {
        this.workerEnded(member, id, new Error(`exit status ${status}`));
        for (const waiting of pending.values()) waiting.reject(member.failure);
        resolve();
      });
    });
    worker.on("message", (event: WorkerEvent) => this.take(member, event));
    const member: Member = {
      worker,
      wakeFd,
      counters,
      status: batch.status,
      upcalls: new UpcallRing(upcalls),
      lostEvents: 0,
      pending,
      ended,
      failure: undefined,
    };
    return member;
  }

  private workerEnded(member: Member, id: number, cause: unknown): void {
    const message = `data-plane worker ${id} ended: ${(cause as Error).message}`;
    member.failure ??= new VtepdError("ERR_WORKER", message, { cause });
    if (!this.stopping) this.fail(member.failure);
  }

  private take(member: Member, event: WorkerEvent): void {
    const { pending, upcalls, wakeFd } = member;
    if (event.type === "gone") {
      for (const port of event.ports) this.hears.gone(port);
      return;
    }
    if (event.type === "upcalls") {
      let isAwaited = false;
      upcalls.drain((record) => {
        if (record[UPCALL_KIND] === UPCALL_UNKNOWN_VTEP) isAwaited = true;
        this.hears.upcall(record);
      });
      if (isAwaited) addon.signalEvent(wakeFd);
      this.tellLost(member);
      return;
    }
    const waiting = pending.get(event.number);
    pending.delete(event.number);
    if (event.error === undefined) waiting?.resolve();
    else waiting?.reject(explainNative(Object.assign(new Error(event.error.message), event.error), "worker"));
  }

  private tellLost(member: Member): void {
    const lost = (member.upcalls.lostEvents - member.lostEvents) >>> 0;
    member.lostEvents = member.upcalls.lostEvents;
    if (lost > 0) this.hears.lostEvents(lost);
  }

  private command(id: number, command: WorkerCommand): Promise<void> {
    const { worker, wakeFd, pending, failure } = this.members[id]!;
    if (failure !== undefined) return Promise.reject(failure);
    return new Promise((resolve, reject) => {
      pending.set(command.number, { resolve, reject });
      worker.postMessage(command);
      addon.signalEvent(wakeFd);
    });
  }
}
