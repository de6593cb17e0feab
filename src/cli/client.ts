/** A client of the control socket, over node:http alone: vtepctl must start fast. */
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import type { Problem } from "../control/problem.ts";
import { ERROR_CODES, VtepdError } from "../errors.ts";

/** Time without a byte from the daemon after which it counts as stuck. */
const TIMEOUT_MS = 30_000;
const PROBLEM_TYPE = "application/problem+json";

/** In words, for the errors people meet. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such socket; is it running?",
  ECONNREFUSED: "nobody answers; is it running?",
  ECONNRESET: "it closed the connection before its answer was whole",
  EACCES: "permission denied; is it running under a group of yours?",
};

const readText = async (response: IncomingMessage): Promise<string> => {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return text;
};

/** A code that a newer daemon knows and we do not is still a refusal. */
const errorOf = async (response: IncomingMessage): Promise<VtepdError> => {
  const text = await readText(response);
  if (response.headers["content-type"] !== PROBLEM_TYPE) {
    return new VtepdError("ERR_INTERNAL", `expected problem details from vtepd, got status ${response.statusCode}`);
  }
  const { code, detail, path } = JSON.parse(text) as Problem;
  const context = path === undefined ? {} : { path };
  return new VtepdError(Object.hasOwn(ERROR_CODES, code) ? code : "ERR_INTERNAL", detail, context);
};

type Method = "POST" | "PUT" | "PATCH" | "DELETE";

export class ControlClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** @throws ERR_CONTROL_SOCKET, and every error of the daemon under its own code */
  async getJson<Answer>(path: string): Promise<Answer> {
    return JSON.parse(await this.#read(readText, "GET", path)) as Answer;
  }

  /** One JSON value a line, as they come; `onLines` gets whole lines, many at a time. @throws as getJson does */
  async getLines(path: string, onLines: (lines: string[]) => void): Promise<void> {
    const deliver = async (response: IncomingMessage): Promise<void> => {
      let rest = "";
      for await (const chunk of response.setEncoding("utf8")) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop()!;
        if (lines.length > 0) onLines(lines);
      }
      if (rest !== "") onLines([rest]);
    };
    await this.#read(deliver, "GET", path, { accept: "application/x-ndjson" });
  }

  /**
   * Bytes as they come; the next ones when `take` has done with these. @param begin told where the answer is, before it
   * @throws as getJson does
   */
  async postForBytes(
    path: string,
    body: unknown,
    take: (bytes: Uint8Array) => Promise<void>,
    begin: (location: string) => void,
  ): Promise<void> {
    const deliver = async (response: IncomingMessage): Promise<void> => {
      begin(response.headers["content-location"] ?? "");
      for await (const chunk of response) await take(chunk as Uint8Array);
    };
    await this.#read(deliver, "POST", path, { "content-type": "application/json" }, JSON.stringify(body));
  }

  /** @throws as getJson does */
  async send(method: Method, path: string, body?: unknown): Promise<void> {
    await this.#send(method, path, body);
  }

  /** As `send`, for what answers with a value. @throws as getJson does */
  async sendForJson<Answer>(method: Method, path: string, body?: unknown): Promise<Answer> {
    return JSON.parse(await this.#send(method, path, body)) as Answer;
  }

  /** Sends a text of another type. @throws as getJson does */
  async putText<Answer>(path: string, type: string, text: string): Promise<Answer> {
    return JSON.parse(await this.#read(readText, "PUT", path, { "content-type": type }, text)) as Answer;
  }

  #send(method: Method, path: string, body: unknown): Promise<string> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers: Record<string, string> = text === undefined ? {} : { "content-type": "application/json" };
    return this.#read(readText, method, path, headers, text);
  }

  /** Sends a request and hands a successful answer to `read`. */
  async #read<Result>(
    read: (response: IncomingMessage) => Promise<Result>,
    method: string,
    path: string,
    headers: Readonly<Record<string, string>> = {},
    body?: string,
  ): Promise<Result> {
    try {
      const response = await this.#request(method, path, headers, body);
      if (response.statusCode! >= 300) throw await errorOf(response);
      return await read(response);
    } catch (cause) {
      if (cause instanceof VtepdError) throw cause;
      const { code, message } = cause as NodeJS.ErrnoException;
      const reason = REASONS[code ?? ""] ?? message;
      throw new VtepdError("ERR_CONTROL_SOCKET", `cannot reach vtepd at ${this.#socketPath}: ${reason}`, { cause });
    }
  }

  #request(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: string | undefined,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      // No agent: a connection kept alive would keep the process alive, and an agent of node:http asks whether "localhost" is an IP
      // address, which takes a new process 6 ms.
      const createConnection = () => connect(this.#socketPath);
      const outgoing = request({ createConnection, path, method, headers: { ...headers } });
      outgoing.setTimeout(TIMEOUT_MS, () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
      outgoing.once("response", resolve);
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }
}
