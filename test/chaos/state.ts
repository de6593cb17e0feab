/** What vtepd says that it has, and what the host has of it, in the lines of Model. */
import type { Settings } from "../../src/dataplane/desired-view.ts";
import type { Host } from "../support/host.ts";
import { unixHttp } from "../support/unix-http.ts";
import { entryText, isEthernet, neighbourText } from "./asked.ts";
import { settingsText } from "./model.ts";

interface ConfigJson {
  readonly tunnels: Readonly<Record<string, Settings>>;
  readonly owners: Readonly<Record<string, string>>;
}

interface LinkLine {
  readonly ifname: string;
  readonly linkinfo: {
    readonly info_kind: string;
    readonly info_data?: { readonly id?: number; readonly ageing?: number };
  };
}

interface FdbLine {
  readonly mac: string;
  readonly ifname: string;
  readonly dst: string;
  readonly port?: number;
  readonly vni?: number;
  readonly flags: readonly string[];
  readonly vtepd: { readonly owner: string };
}

interface NeighbourLine {
  readonly dst: string;
  readonly dev: string;
  readonly lladdr: string;
  readonly router?: null;
  readonly vtepd?: { readonly owner: string };
}

interface DeviceLine {
  readonly ifname: string;
  readonly addr_info: readonly { readonly family: string; readonly local: string; readonly prefixlen: number }[];
}

const get = async <Json>(socket: string, path: string): Promise<Json> => {
  const { status, text } = await unixHttp({ socket, path });
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`);
  return JSON.parse(text) as Json;
};

/** @param without names of tunnels that are left out */
export const stateOf = async (socket: string, host: Host, without: ReadonlySet<string>): Promise<string[]> => {
  const [status, config, links, fdb, neighbours] = await Promise.all([
    get<{ journal: { waiting: number } }>(socket, "/v1/status"),
    get<ConfigJson>(socket, "/v1/config"),
    get<LinkLine[]>(socket, "/v1/links"),
    get<FdbLine[]>(socket, "/v1/fdb"),
    get<NeighbourLine[]>(socket, "/v1/neighbours"),
  ]);
  const devices: DeviceLine[] = host.ipJson("addr", "show");
  const isOurs = (name: string): boolean => !without.has(name);
  const known = (name: string): boolean => isOurs(name) && isEthernet(config.tunnels[name] ?? {});
  const lines = [
    ...Object.entries(config.tunnels).map(
      ([name, settings]) => [name, `link ${name} ${config.owners[name]} ${settingsText(settings)}`] as const,
    ),
    ...links.map(({ ifname, linkinfo: { info_kind: kind, info_data: data = {} } }) => {
      return [
        ifname,
        `runs ${ifname} ${kind} ${data.id ?? "-"} ${known(ifname) ? (data.ageing ?? "-") : "-"}`,
      ] as const;
    }),
    ...devices
      .filter(({ ifname }) => /^c\d/.test(ifname))
      .map(({ ifname, addr_info: addresses }) => {
        const own = addresses.filter(({ family }) => family === "inet");
        return [
          ifname,
          `device ${ifname} ${own
            .map(({ local, prefixlen }) => `${local}/${prefixlen}`)
            .sort()
            .join(" ")}`,
        ] as const;
      }),
    ...fdb
      .filter(({ ifname, vtepd: { owner } }) => owner !== "learned" && known(ifname))
      .map(({ ifname, flags, vtepd, ...entry }) => {
        const text = entryText({ ...entry, sticky: flags.includes("sticky") });
        return [ifname, `fdb ${ifname} ${text} ${vtepd.owner}`] as const;
      }),
    ...neighbours
      .filter(({ vtepd }) => vtepd !== undefined)
      .map(({ dst, dev, lladdr, router, vtepd }) => {
        return [dev, `neighbour ${dev} ${neighbourText(dst, lladdr, router === null)} ${vtepd!.owner}`] as const;
      }),
  ].flatMap(([name, line]) => (isOurs(name) ? [line] : []));
  return [...lines, `waiting ${status.journal.waiting}`];
};

/** What is missing of one (-) and what is too much (+); empty = the same. */
export const differenceOf = (expected: readonly string[], got: readonly string[]): string[] => {
  const rest = [...got];
  const missing = expected.filter((line) => {
    const at = rest.indexOf(line);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
  return [...missing.map((line) => `- ${line}`), ...rest.map((line) => `+ ${line}`)];
};
