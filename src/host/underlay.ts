/**
 * What a network namespace says about the underlay: interfaces, the ways to remote VTEPs, who has an address. A survey asks
 * everything that is wanted at once, of two `ip` processes (a third where the kernel has learned a path MTU), because
 * thousands of tunnels ask about the same few remotes.
 */
import { VtepdError } from "../errors.ts";
import { type Answer, queryIp, queryIpEach } from "./iproute.ts";
import { netnsInode } from "./netns.ts";

export interface Interface {
  readonly ifindex: number;
  readonly ifname: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  /** MAC address, of an Ethernet interface. */
  readonly address?: string;
}

interface RouteRow {
  readonly dev?: string;
  readonly prefsrc?: string;
  readonly expires?: number;
  readonly metrics?: readonly { readonly mtu?: number }[];
}

interface MembershipRow {
  readonly maddr?: readonly { readonly address?: string }[];
}

interface VxlanRow extends Interface {
  readonly linkinfo?: { readonly info_data?: { readonly port?: number } };
}

export interface RouteQuestion {
  readonly remote: string;
  /** Interface that packets leave by whatever the routes say. */
  readonly link: string | undefined;
  /** SO_MARK of the packets; 0 = none. */
  readonly mark: number;
}

export interface Membership {
  readonly link: string;
  readonly group: string;
}

export interface SurveyQuestions {
  readonly routes: readonly RouteQuestion[];
  readonly interfaces: readonly string[];
  readonly addresses: readonly string[];
  readonly memberships: readonly Membership[];
}

export interface UnderlayRoute {
  /** Where packets leave. */
  readonly device: Interface;
  /** Source address the host would use. */
  readonly source: string;
  /** Bytes: the route's own MTU where it has one, else the device's. Path MTUs that the kernel has learned do not count. */
  readonly mtu: number;
}

const LOOPBACK_DEVICE = "lo";

const routeLine = ({ remote, link, mark }: RouteQuestion): string =>
  `route get ${remote}${link === undefined ? "" : ` oif ${link}`}${mark === 0 ? "" : ` mark ${mark}`}`;
const interfaceLine = (name: string): string => `link show dev ${name}`;
const addressLine = (address: string): string => `addr show to ${address}`;
const membershipLine = (link: string): string => `maddr show dev ${link}`;

const rowOf = <Row>(answer: Answer | undefined): Row | undefined =>
  Array.isArray(answer) ? (answer[0] as Row | undefined) : undefined;
const mtuOf = (row: RouteRow | undefined): number | undefined =>
  row?.metrics?.find(({ mtu }) => mtu !== undefined)?.mtu;

export class Survey {
  /** Tells the namespace from another one of its name; 0 = the daemon's own. */
  readonly netnsInode: number;
  private readonly netns: string | undefined;
  /** By line. */
  private readonly answers = new Map<string, Answer>();

  private constructor(netns: string | undefined, netnsInode: number) {
    this.netns = netns;
    this.netnsInode = netnsInode;
  }

  /** @throws ERR_NETNS_NOT_FOUND, ERR_HOST_COMMAND */
  static async take(netns: string | undefined, questions: SurveyQuestions): Promise<Survey> {
    const inode = netns === undefined ? 0 : netnsInode(netns);
    if (inode === undefined) {
      const message = `expected the network namespace ${netns} of the underlay, there is none`;
      throw new VtepdError("ERR_NETNS_NOT_FOUND", message);
    }
    const survey = new Survey(netns, inode);
    const { routes, interfaces, addresses, memberships } = questions;
    const routeLines = routes.map(routeLine);
    await survey.ask([...interfaces.map(interfaceLine), ...routeLines, ...addresses.map(addressLine)]);
    const rows = routes.map((question) => ({
      question,
      row: rowOf<RouteRow>(survey.answers.get(routeLine(question))),
    }));
    const devices = rows.flatMap(({ row }) => (row?.dev === undefined ? [] : [interfaceLine(row.dev)]));
    const learned = rows.flatMap(({ question, row }) =>
      row?.expires === undefined || mtuOf(row) === undefined ? [] : [withoutLearned(question)],
    );
    // Asked last, and of interfaces that exist: iproute2 gives the whole batch up where one does not.
    const joined = memberships.filter(({ link }) => survey.findInterface(link) !== undefined);
    await survey.ask([...devices, ...learned, ...joined.map(({ link }) => membershipLine(link))]);
    return survey;
  }

  /** @throws ERR_NO_ROUTE */
  route(question: RouteQuestion): UnderlayRoute {
    const answer = this.answers.get(routeLine(question));
    if (answer instanceof VtepdError) {
      const message = `expected a route to the remote VTEP ${question.remote}, got: ${answer.message}`;
      throw new VtepdError("ERR_NO_ROUTE", message, { cause: answer });
    }
    const row = rowOf<RouteRow>(answer);
    const device = row?.dev === undefined ? undefined : this.findInterface(row.dev);
    if (row?.prefsrc === undefined || device === undefined) {
      throw new VtepdError("ERR_NO_ROUTE", `expected a route to the remote VTEP ${question.remote}, the host has none`);
    }
    const fixed = this.answers.get(withoutLearned(question));
    return { device, source: row.prefsrc, mtu: mtuOf(fixed === undefined ? row : rowOf(fixed)) ?? device.mtu };
  }

  findInterface(name: string): Interface | undefined {
    return rowOf<Interface>(this.answers.get(interfaceLine(name)));
  }

  /** @throws ERR_INTERFACE_NOT_FOUND */
  interface(name: string): Interface {
    const found = this.findInterface(name);
    if (found !== undefined) return found;
    const where = this.netns === undefined ? "this host" : `the network namespace ${this.netns}`;
    const message = `expected an underlay interface named ${name}, ${where} has none`;
    throw new VtepdError("ERR_INTERFACE_NOT_FOUND", message);
  }

  /** MTU of the interface that has the address, or undefined when none has it. */
  mtuOfAddress(address: string): number | undefined {
    const answer = this.answers.get(addressLine(address));
    const rows = Array.isArray(answer) ? (answer as readonly Interface[]) : [];
    return (rows.find((row) => row.ifname !== LOOPBACK_DEVICE) ?? rows[0])?.mtu;
  }

  /** Whether the interface receives the group's packets; undefined when that is not known. */
  isMember({ link, group }: Membership): boolean | undefined {
    const row = rowOf<MembershipRow>(this.answers.get(membershipLine(link)));
    return row?.maddr?.some(({ address }) => address === group);
  }

  private async ask(lines: readonly string[]): Promise<void> {
    const fresh = [...new Set(lines)].filter((line) => !this.answers.has(line));
    const answers = await queryIpEach(fresh, this.netns);
    for (const [index, line] of fresh.entries()) this.answers.set(line, answers[index]!);
  }
}

/** The route as it stands in the table. */
const withoutLearned = (question: RouteQuestion): string =>
  routeLine(question).replace("route get", "route get fibmatch");

/** Name of the kernel's own vxlan device that holds a UDP port, if one does. */
export const kernelVxlanOnPort = async (port: number, netns: string | undefined): Promise<string | undefined> => {
  const rows = await queryIp<VxlanRow>(["-d", "link", "show", "type", "vxlan"], netns).catch(() => []);
  return rows.find((row) => row.linkinfo?.info_data?.port === port)?.ifname;
};
