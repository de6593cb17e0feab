/**
 * Where one tunnel meets the underlay: for each address family that it has a local address of, a receiver and a
 * transmitter, and for a multicast group a receiver of its own.
 */
import { AF_INET } from "../binding/abi.ts";
import type { TunnelConfig } from "../config/config.ts";
import { remoteContradiction, sendsFromOwnPort } from "../config/contradictions.ts";
import type { VtepAddress } from "../dataplane/vtep-address.ts";
import { VtepdError } from "../errors.ts";
import type { Carrier } from "../tunnel/mode.ts";
import { Encapsulation } from "./encapsulation.ts";
import type { Receiver, ReceiverSpec, Receivers } from "./receivers.ts";
import { openProbe, type Transmitter, type TransmitterSpec, type Transmitters } from "./transmitters.ts";
import type { LocalAddress, UnderlayPlan } from "./underlay-plan.ts";
import { Undo } from "./undo.ts";

/** What copies over one family leave by. */
export interface Exit {
  readonly local: VtepAddress;
  readonly scopeId: number;
  readonly transmitter: Transmitter;
  /** For IPv6 packets of the overlay, where they have a carrier of their own. */
  readonly ipv6Transmitter: Transmitter | undefined;
}

/** One family's. */
export interface Endpoint extends Exit {
  /** One for each carrier. */
  readonly receivers: readonly Receiver[];
}

export interface Sockets {
  readonly receivers: Receivers;
  readonly transmitters: Transmitters;
}

export class Endpoints {
  readonly all: readonly Endpoint[];
  /** One for each carrier when the tunnel has a group. */
  readonly group: readonly Receiver[];
  /** What they were made by. */
  readonly plan: UnderlayPlan;
  private readonly undo: Undo;

  private constructor(all: readonly Endpoint[], group: readonly Receiver[], plan: UnderlayPlan, undo: Undo) {
    this.all = all;
    this.group = group;
    this.plan = plan;
    this.undo = undo;
  }

  /** @throws as the receivers and transmitters do, with nothing left behind */
  static async open(config: TunnelConfig, plan: UnderlayPlan, sockets: Sockets): Promise<Endpoints> {
    const undo = new Undo();
    try {
      return await Endpoints.make(config, plan, sockets, undo);
    } catch (error) {
      await undo.run();
      throw error;
    }
  }

  private static async make(
    config: TunnelConfig,
    plan: UnderlayPlan,
    sockets: Sockets,
    undo: Undo,
  ): Promise<Endpoints> {
    const encapsulation = new Encapsulation(config);
    const receive = async (address: VtepAddress, scopeId: number, isGroup: boolean): Promise<Receiver[]> => {
      const receivers: Receiver[] = [];
      for (const carrier of encapsulation.carriers) {
        const spec = receiverSpec(config, encapsulation, plan, { address, scopeId, isGroup, carrier });
        const receiver = await sockets.receivers.acquire(spec);
        undo.push(() => sockets.receivers.release(receiver));
        receivers.push(receiver);
      }
      return receivers;
    };
    const all: Endpoint[] = [];
    for (const { address, scopeId } of plan.locals) {
      const receivers = await receive(address, scopeId, false);
      const [transmitter, ipv6Transmitter] = sendsFromOwnPort(config)
        ? [asTransmitter(receivers[0]!, config, plan, undo)]
        : await transmit(config, plan, { address, scopeId }, encapsulation, sockets, undo);
      all.push({ local: address, scopeId, receivers, transmitter: transmitter!, ipv6Transmitter });
    }
    const group = plan.group === undefined ? [] : await receive(plan.group, 0, true);
    return new Endpoints(all, group, plan, undo);
  }

  /** Everything that the tunnel's frames come in through. */
  get receivers(): Receiver[] {
    return [...this.all.flatMap(({ receivers }) => receivers), ...this.group];
  }

  /** Lets go of the sockets; nothing may lead to them any more. */
  close(): Promise<void> {
    return this.undo.run();
  }

  /** The endpoint of a family. @throws ERR_CONFIG_CONFLICT @param path of the address that asks for it */
  of(family: number, address: string, path: string): Endpoint {
    const endpoint = this.all.find(({ local }) => local.family === family);
    if (endpoint !== undefined) return endpoint;
    const found = remoteContradiction(address, { locals: this.all.map(({ local }) => local.text) });
    throw new VtepdError("ERR_CONFIG_CONFLICT", `${path}: ${found?.message}`, { path });
  }
}

const needsSockets = ({ name, port }: TunnelConfig): VtepdError => {
  const path = `tunnels.${name}.port-range`;
  const message = `${path}: expected other source ports than ${port}, because in offload tier tunnel no socket of ours has that port`;
  return new VtepdError("ERR_CONFIG_CONFLICT", message, { path });
};

/** What sends from all local addresses, without what receives. @param undo gets what closes them @throws as the transmitters do */
export const openExits = async (
  config: TunnelConfig,
  plan: UnderlayPlan,
  sockets: Sockets,
  undo: Undo,
): Promise<Exit[]> => {
  const encapsulation = new Encapsulation(config);
  const exits: Exit[] = [];
  for (const { address, scopeId } of plan.locals) {
    const all = await transmit(config, plan, { address, scopeId }, encapsulation, sockets, undo);
    exits.push({ local: address, scopeId, transmitter: all[0]!, ipv6Transmitter: all[1] });
  }
  return exits;
};

/** One for each carrier. */
const transmit = async (
  config: TunnelConfig,
  plan: UnderlayPlan,
  local: LocalAddress,
  encapsulation: Encapsulation,
  { transmitters }: Sockets,
  undo: Undo,
): Promise<Transmitter[]> => {
  const all: Transmitter[] = [];
  for (const carrier of encapsulation.carriers) {
    const transmitter = await transmitters.acquire(transmitterSpec(config, plan, local, carrier, encapsulation));
    undo.push(() => transmitters.release(transmitter));
    all.push(transmitter);
  }
  return all;
};

/** Sends with the very sockets that receive. */
const asTransmitter = (receiver: Receiver, config: TunnelConfig, plan: UnderlayPlan, undo: Undo): Transmitter => {
  if (receiver.kind === "packet") throw needsSockets(config);
  const { address, scopeId } = receiver.spec;
  const carrier = { protocol: receiver.spec.protocol, port: receiver.spec.port };
  const spec = transmitterSpec(config, plan, { address, scopeId }, carrier, new Encapsulation(config));
  return {
    spec,
    port: receiver.port,
    mask: 0,
    dfStep: 0,
    uplink: undefined,
    tier: "socket",
    probeFd: openProbe(spec, undo),
    fds: [],
  };
};

/** Sockets belong to one interface and one namespace for life; another one of the same name needs others. */
const epochOf = ({ link, netnsInode }: UnderlayPlan): string => `${netnsInode} ${link?.ifindex ?? 0}`;

/** What packets are taken at an address. */
interface Intake extends LocalAddress {
  readonly isGroup: boolean;
  readonly carrier: Carrier;
}

const receiverSpec = (
  config: TunnelConfig,
  encapsulation: Encapsulation,
  plan: UnderlayPlan,
  { address, scopeId, isGroup, carrier }: Intake,
): ReceiverSpec => ({
  address,
  protocol: carrier.protocol,
  port: carrier.port,
  link: plan.link,
  scopeId,
  format: encapsulation.format,
  header: encapsulation.mode.layout,
  isGroup,
  netns: config.underlayNetns,
  epoch: epochOf(plan),
  acceptZeroChecksum6: config.zeroChecksum6Rx,
});

const transmitterSpec = (
  config: TunnelConfig,
  plan: UnderlayPlan,
  { address: local, scopeId }: LocalAddress,
  carrier: Carrier,
  { mode, greOuter, isMirror }: Encapsulation,
): TransmitterSpec => ({
  local,
  protocol: carrier.protocol,
  // Sequence numbers are counted by the socket's port.
  owner: config.greSequence.output ? config.name : "",
  header: mode.layout,
  needsSocket: greOuter !== 0 || isMirror,
  link: config.link,
  scopeId,
  df: config.doNotFragment,
  checksum: local.family === AF_INET ? config.checksum : !config.zeroChecksum6Tx,
  mark: config.mark ?? 0,
  flowLabel: local.family === AF_INET || config.flowLabel === "inherit" ? 0 : config.flowLabel,
  netns: config.underlayNetns,
  epoch: epochOf(plan),
  sourcePorts: config.sourcePorts,
});
