/**
 * Tells that something has changed in a network namespace: links, addresses, routes or routing rules. It does not tell what,
 * and it may tell too often; whoever is told takes a survey (underlay.ts).
 *
 * The listener is `ip monitor`, started again when it ends. The kernel ends it together with the daemon's main thread, also
 * when that is killed (`setpriv --pdeathsig`); where there is no such `setpriv` it runs without, and would end at the first
 * change after the daemon.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { netnsPath } from "./netns.ts";

const RESTART_MS = 1000;
const LISTENER = ["ip", "-o", "monitor", "link", "address", "route", "rule"];
const DIES_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"];

export class UnderlayMonitor {
  private readonly netns: string | undefined;
  private readonly changed: () => void;
  private child: ChildProcess | undefined;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private dieWithParent = true;

  /** @param changed also called whenever something may have been missed: after each start of the listener */
  constructor(netns: string | undefined, changed: () => void) {
    this.netns = netns;
    this.changed = changed;
    this.listen();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.child?.kill("SIGKILL");
  }

  private listen(): void {
    const visit = this.netns === undefined ? [] : ["nsenter", `--net=${netnsPath(this.netns)}`];
    const guard = this.dieWithParent ? DIES_WITH_PARENT : [];
    const [program, ...args] = [...visit, ...guard, ...LISTENER] as [string, ...string[]];
    const startedMs = performance.now();
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
    this.child = child;
    child.stdout.on("data", this.changed);
    child.on("spawn", this.changed);
    let hasEnded = false;
    const ended = (): void => {
      if (hasEnded || this.stopped) return;
      hasEnded = true;
      if (performance.now() - startedMs < RESTART_MS) this.dieWithParent = !this.dieWithParent;
      this.timer = setTimeout(() => this.listen(), RESTART_MS);
    };
    child.on("error", ended); // there is no such program
    child.on("exit", ended);
  }
}
