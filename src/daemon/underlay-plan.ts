/**
 * What a tunnel needs to know of the host: its local addresses, the interface index behind link-local addresses, and how
 * large its packets may be. A planner holds one look at the underlay (a survey of each network namespace in use) and plans
 * any number of tunnels from it: before they are made, and again whenever the underlay has changed (underlay-watch.ts).
 */
import { AF_INET, AF_INET6 } from "../binding/abi.ts";
import type { TunnelConfig } from "../config/config.ts";
import { remoteContradiction } from "../config/contradictions.ts";
import { isHostName } from "../dataplane/host-name.ts";
import { parseVtepAddress, type VtepAddress } from "../dataplane/vtep-address.ts";
import { VtepdError } from "../errors.ts";
import { type Interface, type Membership, type RouteQuestion, Survey, type UnderlayRoute } from "../host/underlay.ts";
import { Encapsulation } from "./encapsulation.ts";

export interface LocalAddress {
  readonly address: VtepAddress;
  /** 0 unless the address is link-local. */
  readonly scopeId: number;
}

export interface UnderlayPlan {
  /** One for each address family of the tunnel. */
  readonly locals: readonly LocalAddress[];
  readonly group: VtepAddress | undefined;
  readonly link: { readonly name: string; readonly ifindex: number } | undefined;
  /** Interfaces of single remote VTEPs, those of them that are there. */
  readonly vias: readonly { readonly name: string; readonly ifindex: number }[];
  /** Of the underlay's network namespace; 0 = the daemon's own. */
  readonly netnsInode: number;
  /** Of the overlay device, bytes; undefined = not known now, because a way is not. */
  readonly mtu: number | undefined;
}

/** Differs for plans that need other sockets. */
export const placeOf = ({ locals, link, netnsInode: inode }: UnderlayPlan): string =>
  JSON.stringify([locals.map(({ address, scopeId }) => [address.text, scopeId]), link?.ifindex, inode]);

export type CompletePlan = UnderlayPlan & { readonly mtu: number };

/** What is wrong comes in the order of causes: an interface that is down takes its routes with it. */
export interface UnderlayFindings {
  /** Undefined when so much is missing that there is none. */
  readonly plan: UnderlayPlan | undefined;
  readonly problems: readonly VtepdError[];
  /** Whether the interface has lost its membership, which sockets that have joined do not notice. */
  readonly hasLeftGroup: boolean;
}

/** Smallest MTU the kernel lets an Ethernet device have (ETH_MIN_MTU). */
const MIN_MTU = 68;
/** An underlay whose MTU nobody knows. */
const ETHERNET_MTU = 1500;
/** What a TAP allows. */
const MAX_MTU = 65521;

export class UnderlayPlanner {
  /** By network namespace; why not, where there can be none. */
  private readonly surveys: ReadonlyMap<string | undefined, Survey | VtepdError>;
  private readonly viasOf: ViasOf;

  private constructor(surveys: ReadonlyMap<string | undefined, Survey | VtepdError>, viasOf: ViasOf) {
    this.surveys = surveys;
    this.viasOf = viasOf;
  }

  /** Looks at the underlay of these tunnels. @param viasOf interfaces of single remote VTEPs */
  static async look(tunnels: readonly TunnelConfig[], viasOf: ViasOf = configuredVias): Promise<UnderlayPlanner> {
    const namespaces = new Set(tunnels.map(({ underlayNetns }) => underlayNetns));
    const surveys = [...namespaces].map(async (netns) => {
      const inside = tunnels.filter(({ underlayNetns }) => underlayNetns === netns);
      const survey = await takeSurvey(netns, inside, viasOf).catch((error: unknown) => {
        if (error instanceof VtepdError) return error;
        throw error;
      });
      return [netns, survey] as const;
    });
    return new UnderlayPlanner(new Map(await Promise.all(surveys)), viasOf);
  }

  /**
   * For a tunnel that is still to be made: what it is made of must be there, though an interface may be down, or a route
   * missing that tells neither local address nor MTU.
   * @throws ERR_NO_ROUTE, ERR_INTERFACE_NOT_FOUND, ERR_NETNS_NOT_FOUND, ERR_CONFIG_VALUE, ERR_CONFIG_CONFLICT, ERR_HOST_COMMAND
   */
  plan(tunnel: TunnelConfig): CompletePlan {
    const { plan, problems } = this.find(tunnel);
    if (plan?.mtu !== undefined) return { ...plan, mtu: plan.mtu };
    throw problems.find(({ code }) => code !== "ERR_INTERFACE_DOWN");
  }

  /** As `plan`, and says what is missing instead of throwing it. */
  find(tunnel: TunnelConfig): UnderlayFindings {
    const survey = this.surveys.get(tunnel.underlayNetns);
    if (survey === undefined) throw new VtepdError("ERR_INTERNAL", `tunnels.${tunnel.name} was not looked at`);
    return survey instanceof VtepdError
      ? { plan: undefined, problems: [survey], hasLeftGroup: false }
      : new Search(tunnel, survey, this.viasOf(tunnel)).findings();
  }
}

/** The planning of one tunnel. */
class Search {
  private readonly tunnel: TunnelConfig;
  private readonly survey: Survey;
  private readonly viaNames: readonly string[];
  private readonly path: string;
  private readonly problems: VtepdError[] = [];
  private readonly down = new Set<string>();
  private readonly encapsulation: Encapsulation;

  constructor(tunnel: TunnelConfig, survey: Survey, viaNames: readonly string[]) {
    this.tunnel = tunnel;
    this.survey = survey;
    this.viaNames = viaNames;
    this.path = `tunnels.${tunnel.name}`;
    this.encapsulation = new Encapsulation(tunnel);
  }

  findings(): UnderlayFindings {
    const plan = this.attempt(() => this.plan());
    const problems = this.problems.sort((a, b) => graveness(a) - graveness(b));
    const [membership] = membershipsOf(this.tunnel);
    const hasLeftGroup = membership !== undefined && this.survey.isMember(membership) === false;
    return { plan, problems, hasLeftGroup };
  }

  private plan(): UnderlayPlan {
    const { tunnel } = this;
    const link = tunnel.link === undefined ? undefined : this.survey.interface(tunnel.link);
    if (link !== undefined) this.noteState(link);
    const locals = this.locals(link?.ifindex);
    return {
      locals,
      group: tunnel.group === undefined ? undefined : parseVtepAddress(tunnel.group),
      link: link === undefined ? undefined : { name: tunnel.link!, ifindex: link.ifindex },
      vias: this.vias(),
      netnsInode: this.survey.netnsInode,
      mtu: this.overlayMtu(locals, link?.mtu),
    };
  }

  /** One that is missing is a problem, and no reason to have no plan. */
  private vias(): { name: string; ifindex: number }[] {
    return this.viaNames.flatMap((name) => {
      const via = this.attempt(() => this.survey.interface(name));
      if (via === undefined) return [];
      this.noteState(via);
      return [{ name, ifindex: via.ifindex }];
    });
  }

  /** Those of the configuration; and for a family without, the address that the host would send from. */
  private locals(ifindex: number | undefined): LocalAddress[] {
    const { tunnel, path } = this;
    const addresses = tunnel.locals.map(parseVtepAddress);
    const questions = questionsOf(tunnel);
    for (const family of [AF_INET, AF_INET6]) {
      if (addresses.some((address) => address.family === family)) continue;
      const question = questions.find(({ remote }) => parseVtepAddress(remote).family === family);
      if (question !== undefined) addresses.push(parseVtepAddress(this.route(question).source));
    }
    if (addresses.length === 0) {
      const message = `${path}.local: expected an address, because there is no remote VTEP whose route would tell it`;
      throw new VtepdError("ERR_CONFIG_VALUE", message, { path: `${path}.local` });
    }
    const own = addresses.find(({ text }) => questions.some(({ remote }) => remote === text));
    if (own !== undefined) {
      const found = remoteContradiction(own.text, { locals: [own.text] });
      throw new VtepdError("ERR_CONFIG_CONFLICT", `${path}: ${found!.message}`, { path });
    }
    return addresses.map((address) => ({ address, scopeId: scopeOf(address, ifindex, path) }));
  }

  /** The configured one, or the smallest underlay MTU on the way to any remote VTEP, less the encapsulation. */
  private overlayMtu(locals: readonly LocalAddress[], pinnedMtu: number | undefined): number | undefined {
    const { tunnel, survey, path } = this;
    const questions = questionsOf(tunnel);
    const ways = questions.map((question) =>
      this.attempt(() => {
        const { family } = parseVtepAddress(question.remote);
        return this.encapsulation.overlayMtu(this.route(question).mtu, family);
      }),
    );
    if (tunnel.mtu !== undefined) return tunnel.mtu;
    for (const { address } of questions.length === 0 ? locals : []) {
      const underlay = pinnedMtu ?? survey.mtuOfAddress(address.text) ?? ETHERNET_MTU;
      ways.push(this.encapsulation.overlayMtu(underlay, address.family));
    }
    const known = ways.filter((mtu) => mtu !== undefined);
    if (known.length < ways.length) return undefined;
    const mtu = Math.min(...known, MAX_MTU);
    if (mtu >= MIN_MTU) return mtu;
    const message = `${path}.mtu: the underlay's MTU leaves ${mtu} bytes, expected at least ${MIN_MTU}`;
    this.problems.push(new VtepdError("ERR_CONFIG_VALUE", message, { path: `${path}.mtu` }));
    return undefined;
  }

  private route(question: RouteQuestion): UnderlayRoute {
    const route = this.survey.route(question);
    this.noteState(route.device);
    return route;
  }

  private noteState({ ifname, flags }: Interface): void {
    if (flags.includes("LOWER_UP") || this.down.has(ifname)) return;
    this.down.add(ifname);
    const state = flags.includes("UP") ? "has no carrier" : "is down";
    this.problems.push(new VtepdError("ERR_INTERFACE_DOWN", `the underlay interface ${ifname} ${state}`));
  }

  private attempt<T>(find: () => T): T | undefined {
    try {
      return find();
    } catch (error) {
      if (!(error instanceof VtepdError)) throw error;
      this.problems.push(error);
      return undefined;
    }
  }
}

/** Of a tunnel, by name. */
export type ViasOf = (tunnel: TunnelConfig) => readonly string[];

export const configuredVias: ViasOf = ({ fdb }) => [
  ...new Set(fdb.flatMap(({ via }) => (via === undefined ? [] : [via]))),
];

const takeSurvey = (netns: string | undefined, tunnels: readonly TunnelConfig[], viasOf: ViasOf): Promise<Survey> =>
  Survey.take(netns, {
    routes: tunnels.flatMap(questionsOf),
    interfaces: tunnels.flatMap((tunnel) => [...(tunnel.link === undefined ? [] : [tunnel.link]), ...viasOf(tunnel)]),
    addresses: tunnels.filter((tunnel) => questionsOf(tunnel).length === 0).flatMap(({ locals }) => locals),
    memberships: tunnels.flatMap(membershipsOf),
  });

const membershipsOf = ({ group, link }: TunnelConfig): Membership[] =>
  group === undefined || link === undefined ? [] : [{ link, group }];

const CAUSES_FIRST = ["ERR_INTERFACE_NOT_FOUND", "ERR_INTERFACE_DOWN"];
const graveness = ({ code }: VtepdError): number => {
  const place = CAUSES_FIRST.indexOf(code);
  return place < 0 ? CAUSES_FIRST.length : place;
};

/**
 * How packets to the remote VTEPs find their way. The group is one: it has a route, and a source address. Those that have
 * names are found and lost without a new plan.
 */
const questionsOf = ({ remote, group, flood, fdb, routes, link, mark = 0 }: TunnelConfig): RouteQuestion[] => {
  const plain = [remote, group, ...flood, ...routes.map(({ via }) => via)].map((dst) => ({ dst, via: undefined }));
  const questions = new Map<string, RouteQuestion>();
  for (const { dst, via = link } of [...plain, ...fdb]) {
    if (dst !== undefined && !isHostName(dst)) questions.set(`${dst} ${via}`, { remote: dst, link: via, mark });
  }
  return [...questions.values()];
};

const scopeOf = ({ text }: VtepAddress, ifindex: number | undefined, path: string): number => {
  if (!text.startsWith("fe80:")) return 0;
  if (ifindex !== undefined) return ifindex;
  const message = `${path}.link: expected the underlay interface of the link-local address ${text}, got none`;
  throw new VtepdError("ERR_CONFIG_VALUE", message, { path: `${path}.link` });
};
