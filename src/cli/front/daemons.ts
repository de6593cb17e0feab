/**
 * The daemons that a line may be about. One daemon serves all namespaces of a host, and a tunnel's name is its device's; so
 * when a second namespace wants a device of the same name, that namespace gets a daemon of its own, whose socket stands
 * beside the first one's and has the namespace's inode in its name.
 */
import { readFileSync } from "node:fs";
import type { LinkJson } from "../../control/link-json.ts";
import type { StatusJson } from "../../control/stats-json.ts";
import { isInterfaceName } from "../../dataplane/interface-name.ts";
import { VtepdError } from "../../errors.ts";
import { ControlClient } from "../client.ts";
import { clientNamespace, namespaceInode, ownInode } from "../namespace.ts";
import { freeName } from "./new-name.ts";
import { isAnswering, startDaemon } from "./start.ts";

type DaemonStatus = StatusJson & { readonly netns?: string };

const OWN_DEVICES = "/proc/self/net/dev";

/** A tunnel whose device is in the namespace of the line. */
export interface Found {
  readonly socket: string;
  readonly link: LinkJson;
}

/** Names of all devices of our namespace. */
const devicesHere = (): Set<string> => {
  const rows = readFileSync(OWN_DEVICES, "utf8").split("\n").slice(2);
  return new Set(rows.map((row) => row.slice(0, row.lastIndexOf(":")).trim()));
};

/** Whether the device of that name here is the tunnel's: it was made here, or has been moved here. */
const isHere = ({ vtepd }: LinkJson): boolean => vtepd.netns_inode === ownInode();

const has = async <Value>(attempt: Promise<Value>): Promise<Value | undefined> => {
  try {
    return await attempt;
  } catch (error) {
    if (error instanceof VtepdError && ["ERR_CONTROL_SOCKET", "ERR_LINK_NOT_FOUND"].includes(error.code))
      return undefined;
    throw error;
  }
};

export class Daemons {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Socket of the daemon that serves the host. */
  get host(): string {
    return this.#socket;
  }

  /** Of the daemon that serves our namespace alone, if there is one. */
  get #own(): string {
    return `${this.#socket.replace(/\.sock$/, "")}-${ownInode()}.sock`;
  }

  /** The tunnel behind a device of this namespace. */
  async find(name: string): Promise<Found | undefined> {
    if (!devicesHere().has(name)) return undefined;
    for (const socket of [this.#own, this.#socket]) {
      const link = await has(new ControlClient(socket).getJson<LinkJson>(`/v1/links/${encodeURIComponent(name)}`));
      if (link !== undefined && isHere(link)) return { socket, link };
    }
    return undefined;
  }

  /** All tunnels whose devices are in this namespace, by name. */
  async list(): Promise<Map<string, Found>> {
    const here = devicesHere();
    const found = new Map<string, Found>();
    for (const socket of [this.#own, this.#socket]) {
      const links = (await has(new ControlClient(socket).getJson<LinkJson[]>("/v1/links"))) ?? [];
      for (const link of links) {
        if (here.has(link.ifname) && !found.has(link.ifname) && isHere(link)) found.set(link.ifname, { socket, link });
      }
    }
    return found;
  }

  /** Inode of the namespace that the host's daemon lives in. */
  async #namespace(): Promise<string | undefined> {
    const { netns, pid } = await new ControlClient(this.#socket).getJson<DaemonStatus>("/v1/status");
    return netns ?? namespaceInode(`/proc/${pid}/ns/net`);
  }

  /** The name of a new device whose name nobody has said. */
  async freeName(type: string): Promise<string> {
    const here = devicesHere();
    const links = (await has(new ControlClient(this.#socket).getJson<LinkJson[]>("/v1/links"))) ?? [];
    return freeName(type, (name) => here.has(name) || links.some(({ ifname }) => ifname === name));
  }

  /**
   * The socket of the daemon that a new tunnel of this namespace goes to; starts it when there is none.
   * @throws ERR_CONTROL_SOCKET when that cannot be
   */
  async forNew(name: string): Promise<string> {
    if (!isInterfaceName(name)) return this.#socket; // where it is refused
    if (await isAnswering(this.#own)) return this.#own;
    if (!(await isAnswering(this.#socket))) await startDaemon(this.#socket, "host");
    const taken = await has(new ControlClient(this.#socket).getJson<LinkJson>(`/v1/links/${encodeURIComponent(name)}`));
    // A name that is taken here is refused as usual.
    const isOurs = taken === undefined || devicesHere().has(name);
    if (isOurs && (await this.#hasName())) return this.#socket;
    await startDaemon(this.#own, "namespace");
    return this.#own;
  }

  /** Whether the host's daemon can be told of this namespace. */
  async #hasName(): Promise<boolean> {
    try {
      clientNamespace(undefined, await this.#namespace());
      return true;
    } catch {
      return false;
    }
  }
}
