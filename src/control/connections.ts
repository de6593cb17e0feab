/**
 * The connections of the control socket: bounded in number, and none stays that nobody uses.
 *
 * A connection is in use from the moment its request's head is there until its answer is taken. When there are as many as
 * there may be, one more makes that one go which has been unused for longest, so that thousands of idle ones keep nobody out;
 * only when all are in use is the newcomer told so. One whose client takes no byte of what waits for it is cut after a time;
 * one with nothing to take (events, captures) stays. How long a client may send at its request is limited by node:http.
 */
import type { RequestListener, Server } from "node:http";
import type { Socket } from "node:net";
import { PROBLEM_TYPE, problem } from "./problem.ts";

export interface ConnectionLimits {
  readonly connections: number;
  /** Time in which a client must have taken something of its answer. */
  readonly stalledMs: number;
}

export class Connections {
  private readonly limits: ConnectionLimits;
  private readonly onLimit: () => void;
  /** How many answers are not taken yet, by connection; the one that was used last comes last. */
  private readonly answers = new Map<Socket, number>();
  private readonly refused = new WeakSet<Socket>();
  private isFull = false;

  /** @param onLimit told when the limit is reached, and again only after half of the connections were gone */
  constructor(limits: ConnectionLimits, onLimit: () => void) {
    this.limits = limits;
    this.onLimit = onLimit;
  }

  /** What the server is to be made with. */
  guard(listener: RequestListener): RequestListener {
    return (request, response) => {
      const { socket } = request;
      if (this.refused.has(socket)) {
        const detail = `expected at most ${this.limits.connections} connections in use at a time`;
        response.writeHead(503, { "content-type": PROBLEM_TYPE, connection: "close" });
        response.end(`${JSON.stringify(problem("ERR_CONTROL_SOCKET", detail))}\n`);
        return;
      }
      this.count(socket, 1);
      response.once("close", () => this.count(socket, -1));
      listener(request, response);
    };
  }

  watch(server: Server): void {
    server.on("connection", (connection) => this.admit(connection));
    server.setTimeout(this.limits.stalledMs, (connection: Socket) => {
      if (connection.writableLength > 0) connection.destroy();
    });
  }

  private admit(newcomer: Socket): void {
    newcomer.once("close", () => {
      this.answers.delete(newcomer);
      if (this.answers.size < this.limits.connections / 2) this.isFull = false;
    });
    if (this.answers.size >= this.limits.connections) {
      if (!this.isFull) this.onLimit();
      this.isFull = true;
      const unused = this.longestUnused();
      if (unused === undefined) this.refused.add(newcomer);
      else {
        this.answers.delete(unused);
        unused.destroy();
      }
    }
    this.answers.set(newcomer, 0);
  }

  private longestUnused(): Socket | undefined {
    for (const [connection, answers] of this.answers) if (answers === 0) return connection;
    return undefined;
  }

  private count(connection: Socket, by: number): void {
    const before = this.answers.get(connection);
    if (before === undefined) return;
    this.answers.delete(connection);
    this.answers.set(connection, before + by);
  }
}
