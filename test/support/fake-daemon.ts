/** The part of the control API that makes and changes tunnels, over a map of settings: what vtepctl's words come to. */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linkJson } from "../../src/control/link-json.ts";
import { FakeVtep, fakeLink } from "./fake-vtep.ts";

export interface Request {
  readonly call: string;
  readonly body?: unknown;
}

type Settings = Record<string, unknown>;

interface Answer {
  readonly status: number;
  readonly value?: unknown;
}

const read = async (request: IncomingMessage): Promise<unknown> => {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text === "" ? undefined : JSON.parse(text);
};

const missing = (name: string): Answer => ({
  status: 404,
  value: { code: "ERR_LINK_NOT_FOUND", detail: `no tunnel ${name}` },
});

const inodeOf = (path: string): string => String(statSync(path).ino);

const linkOf = (name: string, { mode = "vxlan", netns, ...settings }: Settings): unknown => {
  const gre = { inputKey: null, outputKey: null, checksum: BOTH_OFF, sequence: BOTH_OFF };
  const link = fakeLink(name, {
    mode: String(mode),
    gre: {
      ...gre,
      ...(typeof settings["key"] === "number" ? { inputKey: settings["key"], outputKey: settings["key"] } : {}),
    },
    isUp: settings["isUp"] !== false,
    netns: (netns as string | undefined) ?? null,
    netnsInode: inodeOf((netns as string | undefined) ?? "/proc/self/ns/net"),
    remote: (settings["remote"] as string | undefined) ?? null,
    ttl: settings["ttl"] as number,
    tos: (settings["type-of-service"] as number | undefined) ?? 0,
    flowLabel: (settings["flow-label"] as number | undefined) ?? 0,
    df: settings["do-not-fragment"] === true ? "set" : "unset",
  });
  const vtep = new FakeVtep();
  vtep.addLink(link);
  return linkJson(link, vtep.stats()[0]!);
};

const BOTH_OFF = { input: false, output: false };

export class FakeDaemon {
  readonly socket: string;
  /** Those that change something. */
  readonly changes: Request[] = [];
  readonly tunnels: Map<string, Settings> = new Map();
  /** Of GET /v1/status. */
  netns: string = inodeOf("/proc/self/ns/net");
  readonly #folder: string;
  readonly #server: Server;

  private constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), "vtepd-test-"));
    this.socket = join(this.#folder, "control.sock");
    this.#server = createServer(async (request, response) => {
      const body = await read(request);
      const { method = "", url = "" } = request;
      if (method !== "GET") this.changes.push({ call: `${method} ${url}`, ...(body === undefined ? {} : { body }) });
      const { status, value } = this.#answer(method, url, body as Settings);
      const type = status < 300 ? "application/json" : "application/problem+json";
      response.writeHead(status, { "content-type": type }).end(value === undefined ? "" : JSON.stringify(value));
    });
  }

  static async start(): Promise<FakeDaemon> {
    const daemon = new FakeDaemon();
    await new Promise<void>((resolve) => daemon.#server.listen(daemon.socket, resolve));
    return daemon;
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true });
  }

  #answer(method: string, path: string, body: Settings): Answer {
    const url = path.replace(/\?state=(up|down)$/, "");
    if (url === "/v1/status") return { status: 200, value: { pid: process.pid, netns: this.netns } };
    if (url === "/v1/links") return method === "GET" ? this.#list() : this.#add(body, !path.endsWith("=down"));
    if (url === "/v1/config") return { status: 200, value: { tunnels: Object.fromEntries(this.tunnels) } };
    const [, name = ""] = /^\/v1\/links\/([^/]+)$/.exec(url) ?? [];
    const settings = this.tunnels.get(name);
    if (settings === undefined) return missing(name);
    if (method === "DELETE") this.tunnels.delete(name);
    if (method === "PATCH") this.#patch(name, settings, body);
    return method === "DELETE" ? { status: 204 } : { status: 200, value: linkOf(name, settings) };
  }

  #list(): Answer {
    return { status: 200, value: [...this.tunnels].map(([name, settings]) => linkOf(name, settings)) };
  }

  #add({ name, ...settings }: Settings, isUp: boolean): Answer {
    this.tunnels.set(String(name), settings);
    return { status: 201, value: linkOf(String(name), { ...settings, isUp }) };
  }

  #patch(name: string, settings: Settings, patch: Settings): void {
    const all = Object.entries({ ...settings, ...patch }).filter(([, value]) => value !== null);
    this.tunnels.set(name, Object.fromEntries(all));
  }
}
