/**
 * The service manager that started this process, if one did: what sd_notify(3) and sd_listen_fds(3) do, without their
 * library. What it put into the environment is taken out there, since none of it is for the programs that the daemon runs.
 *
 * Its descriptor store keeps descriptors of ours open while we are away, restarts and crashes included, and hands them to the
 * next of us. It may also listen on the control socket for us, so that clients wait for us rather than fail. Whether there is a store is not told before systemd 254: what is handed over without one is closed there.
 *
 * Telling it something never fails: a service manager that does not listen is none of a tunnel's business. The first
 * failure is logged.
 */
import type { Logger } from "pino";
import { addon } from "../binding/addon.ts";

/** sd_listen_fds(3): where the descriptors begin. */
const FIRST_DESCRIPTOR = 3;
const VARIABLES = [
  "NOTIFY_SOCKET",
  "WATCHDOG_USEC",
  "WATCHDOG_PID",
  "LISTEN_PID",
  "LISTEN_FDS",
  "LISTEN_FDNAMES",
  "FDSTORE",
] as const;

/** A descriptor that the service manager kept for us; ours to close. */
export interface KeptDescriptor {
  readonly name: string;
  readonly fd: number;
}

type Environment = Record<string, string | undefined>;

/** @param text a decimal number; anything else is 0 */
const count = (text: string | undefined): number => (/^\d{1,15}$/.test(text ?? "") ? Number(text) : 0);

/** FileDescriptorName= of vtepd.socket. */
const LISTENER_NAME = "control";

const isFor = (pid: string | undefined): boolean => pid === undefined || pid === String(process.pid);

const descriptorsIn = (env: Environment): KeptDescriptor[] => {
  if (env["LISTEN_PID"] !== String(process.pid)) return [];
  const names = (env["LISTEN_FDNAMES"] ?? "").split(":");
  return Array.from({ length: count(env["LISTEN_FDS"]) }, (_, n) => ({
    name: names[n] ?? "",
    fd: FIRST_DESCRIPTOR + n,
  }));
};

export class ServiceManager {
  /** How often it wants to hear that we live; undefined = it does not ask. */
  readonly watchdogMs: number | undefined;
  private readonly socket: string | undefined;
  private readonly descriptors: KeptDescriptor[];
  private readonly log: Logger;
  private hasFailed = false;

  /** @param env is cleared of what is for this process only */
  constructor(env: Environment, log: Logger) {
    this.socket = env["NOTIFY_SOCKET"] || undefined;
    const watchdogUs = isFor(env["WATCHDOG_PID"]) ? count(env["WATCHDOG_USEC"]) : 0;
    this.watchdogMs = this.socket === undefined || watchdogUs === 0 ? undefined : watchdogUs / 1000;
    this.descriptors = descriptorsIn(env);
    this.log = log;
    for (const name of VARIABLES) delete env[name];
  }

  get isPresent(): boolean {
    return this.socket !== undefined;
  }

  /** The control socket, where the service manager listens for us (vtepd.socket); ours to close. */
  takeListener(): number | undefined {
    const at = this.descriptors.findIndex(({ name }) => name === LISTENER_NAME);
    return at < 0 ? undefined : this.descriptors.splice(at, 1)[0]!.fd;
  }

  /** What it kept for us. The caller closes what it does not want; a second call returns nothing. */
  takeDescriptors(): KeptDescriptor[] {
    return this.descriptors.splice(0);
  }

  /** The start or a reload is over. @param status one line for `systemctl status` */
  ready(status: string): void {
    this.tell(`READY=1\nSTATUS=${status}`);
  }

  /** @param status as of `ready`, at any time */
  status(status: string): void {
    this.tell(`STATUS=${status}`);
  }

  /** A reload begins; `ready` ends it, also when it failed. */
  reloading(): void {
    this.tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(): void {
    this.tell("STOPPING=1\nSTATUS=stopping");
  }

  live(): void {
    this.tell("WATCHDOG=1");
  }

  /** Lets it keep a descriptor, which stays open here, too. @param name without `:`; several may have the same */
  store(name: string, fd: number): void {
    this.tell(`FDSTORE=1\nFDNAME=${name}`, fd);
  }

  /** Lets it close all descriptors of that name. */
  forget(name: string): void {
    this.tell(`FDSTOREREMOVE=1\nFDNAME=${name}`);
  }

  private tell(text: string, fd?: number): void {
    if (this.socket === undefined) return;
    try {
      addon.sendNotification({ socket: this.socket, text, ...(fd === undefined ? {} : { fd }) });
    } catch (err) {
      if (!this.hasFailed) this.log.warn({ err }, "the service manager cannot be told");
      this.hasFailed = true;
    }
  }
}
