/** One HTTP request over a unix socket, answered whole. */
import { type IncomingMessage, request } from "node:http";

export interface UnixRequest {
  readonly socket: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface UnixAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

const collect = async (response: IncomingMessage): Promise<UnixAnswer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode!,
    type: response.headers["content-type"] ?? "",
    text: Buffer.concat(chunks).toString("utf8"),
  };
};

export const unixHttp = ({ socket, path, method = "GET", headers = {}, body }: UnixRequest): Promise<UnixAnswer> =>
  new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: socket, path, method, headers: { ...headers } }, (response) => {
      collect(response).then(resolve, reject);
    });
    outgoing.on("error", reject);
    // A server that answers before it has read the whole body may close: then the rest of the body fails on the socket.
    // Once for each connection, since one serves many requests.
    outgoing.once("socket", (connection) => {
      if (!outgoing.reusedSocket) connection.on("error", () => {});
    });
    outgoing.end(body);
  });

/** A request with a JSON body. */
export const unixJson = (socket: string, method: string, path: string, body: unknown): Promise<UnixAnswer> =>
  unixHttp({ socket, method, path, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
