/**
 * A data-plane worker: one thread, one Io (epoll set), one batch, run to completion. Each worker has its own queue of
 * every TAP and its own reuse-port socket of every underlay binding, so a frame never changes thread.
 *
 * The loop blocks in `receive`, not in the event loop: libuv callbacks cost more than a frame. The main thread therefore
 * speaks to a worker by posting a message and signalling the eventfd; the worker takes messages when it was woken, between
 * batches, and answers each with its number. It ends when told to, or when it throws (the main thread sees the exit).
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { STATUS_GONE, STATUS_WOKEN } from "../binding/abi.ts";
import { addon, type Io } from "../binding/addon.ts";
import type { Batch } from "./batch.ts";
import type { CaptureSetup } from "./capture-tap.ts";
import { type Counters, WORKER_WAKEUPS } from "./counters.ts";
import { Forwarder } from "./forwarder.ts";
import { openTables, type TableMemory } from "./tables.ts";
import { UpcallRing } from "./upcall-ring.ts";

/** What a worker is started with. */
export interface WorkerSetup {
  readonly tables: TableMemory;
  readonly counters: Counters;
  readonly batch: Batch;
  readonly upcalls: Int32Array;
  readonly wakeFd: number;
  /** Undefined = wherever the kernel puts the thread. */
  readonly cpu: number | undefined;
  /** Microseconds to go on asking for frames before sleeping. */
  readonly busyPollUs: number;
}

/** One change to the worker's epoll set. Descriptors stay the main thread's. */
export type PortChange =
  | {
      readonly verb: "add";
      readonly port: number;
      readonly fd: number;
      readonly kind: number;
      /** Header layout, HEADER_* of binding/abi.ts. */
      readonly header: number;
      readonly features: number;
    }
  | { readonly verb: "remove"; readonly port: number };

/** From the main thread. Answered, in order, by `done` with the same number. */
export type WorkerCommand =
  | { readonly type: "ports"; readonly number: number; readonly changes: readonly PortChange[] }
  | { readonly type: "capture"; readonly number: number; readonly id: number; readonly setup: CaptureSetup }
  | { readonly type: "capture-end"; readonly number: number; readonly id: number }
  | { readonly type: "stop"; readonly number: number };

/** To the main thread. `gone`: the device behind a port was deleted; the port is no longer polled. `upcalls`: look at the ring. */
export type WorkerEvent =
  | {
      readonly type: "done";
      readonly number: number;
      readonly error?: { code: string; syscall: string; message: string };
    }
  | { readonly type: "gone"; readonly ports: readonly number[] }
  | { readonly type: "upcalls" };

type Change = Exclude<WorkerCommand, { readonly type: "stop" }>;

const changePort = (io: Io, change: PortChange): void => {
  if (change.verb === "add") io.add(change.port, change.fd, change.kind, change.header, change.features);
  else io.remove(change.port);
};

const carryOut = (command: Change, io: Io, forwarder: Forwarder): void => {
  if (command.type === "capture") forwarder.beginCapture(command.id, command.setup);
  else if (command.type === "capture-end") forwarder.endCapture(command.id);
  else for (const change of command.changes) changePort(io, change);
};

/** Carries out all waiting commands. Returns false when told to stop. */
const takeCommands = (port: MessagePort, io: Io, forwarder: Forwarder): boolean => {
  for (;;) {
    const received = receiveMessageOnPort(port) as { message: WorkerCommand } | undefined;
    if (received === undefined) return true;
    const { message } = received;
    if (message.type === "stop") {
      port.postMessage({ type: "done", number: message.number } satisfies WorkerEvent);
      return false;
    }
    // A port's number may soon be another's.
    if (forwarder.isHolding) forwarder.resume(true);
    try {
      carryOut(message, io, forwarder);
      port.postMessage({ type: "done", number: message.number } satisfies WorkerEvent);
    } catch (error) {
      const { code, syscall, message: text } = error as { code: string; syscall: string; message: string };
      port.postMessage({
        type: "done",
        number: message.number,
        error: { code, syscall, message: text },
      } satisfies WorkerEvent);
    }
  }
};

/** Asks without waiting for `microseconds`, then sleeps like everyone. Something to hear of ends it too. */
const pollThenSleep = (io: Io, status: Int32Array, microseconds: number): number => {
  const deadline = performance.now() + microseconds / 1000;
  do {
    const count = io.receive(0);
    if (count > 0 || status[STATUS_WOKEN] !== 0 || status[STATUS_GONE] !== 0) return count;
  } while (performance.now() < deadline);
  return io.receive(-1);
};

const run = (port: MessagePort, setup: WorkerSetup): void => {
  const { batch, counters } = setup;
  const tables = openTables(setup.tables);
  const { vteps, templates } = setup.tables.remotes;
  const io = new addon.Io({ ...batch, vteps, templates, associations: tables.associations.words }, setup.wakeFd);
  const upcalls = new UpcallRing(setup.upcalls);
  const forwarder = new Forwarder(batch, tables, counters, upcalls, io);
  const { status } = batch;
  if (setup.cpu !== undefined) addon.pinThread(setup.cpu);
  const receive = setup.busyPollUs === 0 ? () => io.receive(-1) : () => pollThenSleep(io, status, setup.busyPollUs);
  for (;;) {
    const count = receive();
    counters.worker[WORKER_WAKEUPS]!++;
    if (count > 0) forwarder.forward(count);
    else if (forwarder.isHolding) forwarder.resume(false);
    if (upcalls.ring()) port.postMessage({ type: "upcalls" } satisfies WorkerEvent);
    if (status[STATUS_GONE] !== 0) port.postMessage({ type: "gone", ports: io.takeGone() } satisfies WorkerEvent);
    if (status[STATUS_WOKEN] === 0) continue;
    status[STATUS_WOKEN] = 0;
    if (!takeCommands(port, io, forwarder)) break;
  }
  io.close();
  port.close();
};

run(parentPort as MessagePort, workerData as WorkerSetup);
