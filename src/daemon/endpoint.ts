/**
 * Where one tunnel meets the underlay: for each address family that it has a local address of, a receiver and a
 * transmitter, and for a multicast group a receiver of its own.
 */
import { AF_INET } from "../binding/abi.ts";
import type { TunnelConfig } from "../config/config.ts";
import { remoteContradiction } from "../config/contradictions.ts";
import type { VtepAddress } from "../dataplane/vtep-address.ts";
import { VtepdError } from "../errors.ts";
import { VXLAN_TUNNEL_HEADER_BYTES } from "../tunnel/vxlan.ts";
import type { Receiver, ReceiverSpec, Receivers } from "./receivers.ts";
import { openProbe, type Transmitter, type TransmitterSpec, type Transmitters } from "./transmitters.ts";
import type { UnderlayPlan } from "./underlay-plan.ts";
import { Undo } from "./undo.ts";

/** One family's. */
export interface Endpoint {
  readonly local: VtepAddress;
  readonly scopeId: number;
  readonly receiver: Receiver;
  readonly transmitter: Transmitter;
}

export interface Sockets {
  readonly receivers: Receivers;
  readonly transmitters: Transmitters;
}

export class Endpoints {
  readonly all: readonly Endpoint[];
  /** Undefined unless the tunnel has a group. */
  readonly group: Receiver | undefined;
  /** What they were made by. */
  readonly plan: UnderlayPlan;
  private readonly undo: Undo;

  private constructor(all: readonly Endpoint[], group: Receiver | undefined, plan: UnderlayPlan, undo: Undo) {
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
    const all: Endpoint[] = [];
    for (const { address, scopeId } of plan.locals) {
      const receiver = await sockets.receivers.acquire(receiverSpec(config, plan, address, scopeId, false));
      undo.push(() => sockets.receivers.release(receiver));
      if (sendsFromOwnPort(config)) {
        if (receiver.kind === "packet") throw needsSockets(config);
        all.push({ local: address, scopeId, receiver, transmitter: asTransmitter(receiver, config, plan, undo) });
        continue;
      }
      const transmitter = await sockets.transmitters.acquire(transmitterSpec(config, plan, address, scopeId));
      undo.push(() => sockets.transmitters.release(transmitter));
      all.push({ local: address, scopeId, receiver, transmitter });
    }
    if (plan.group === undefined) return new Endpoints(all, undefined, plan, undo);
    const group = await sockets.receivers.acquire(receiverSpec(config, plan, plan.group, 0, true));
    undo.push(() => sockets.receivers.release(group));
    return new Endpoints(all, group, plan, undo);
  }

  /** Everything that the tunnel's frames come in through. */
  get receivers(): Receiver[] {
    const unicast = this.all.map(({ receiver }) => receiver);
    return this.group === undefined ? unicast : [...unicast, this.group];
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

/** Whether it has no source port but the one that it receives on. */
export const sendsFromOwnPort = ({ sourcePorts, port }: TunnelConfig): boolean =>
  sourcePorts !== undefined && sourcePorts.first === port && sourcePorts.last === port;

const needsSockets = ({ name, port }: TunnelConfig): VtepdError => {
  const path = `tunnels.${name}.port-range`;
  const message = `${path}: expected other source ports than ${port}, because in offload tier tunnel no socket of ours has that port`;
  return new VtepdError("ERR_CONFIG_CONFLICT", message, { path });
};

/** Sends with the very sockets that receive. */
const asTransmitter = (receiver: Receiver, config: TunnelConfig, plan: UnderlayPlan, undo: Undo): Transmitter => {
  const spec = transmitterSpec(config, plan, receiver.spec.address, receiver.spec.scopeId);
  return {
    spec,
    port: receiver.port,
    mask: 0,
    dfStep: 0,
    uplink: undefined,
    tier: "socket",
    probeFd: openProbe(spec, undo),
  };
};

/** Sockets belong to one interface and one namespace for life; another one of the same name needs others. */
const epochOf = ({ link, netnsInode }: UnderlayPlan): string => `${netnsInode} ${link?.ifindex ?? 0}`;

const receiverSpec = (
  config: TunnelConfig,
  plan: UnderlayPlan,
  address: VtepAddress,
  scopeId: number,
  isGroup: boolean,
): ReceiverSpec => ({
  address,
  port: config.port,
  link: plan.link,
  scopeId,
  header: VXLAN_TUNNEL_HEADER_BYTES,
  isGroup,
  netns: config.underlayNetns,
  epoch: epochOf(plan),
  acceptZeroChecksum6: config.zeroChecksum6Rx,
});

const transmitterSpec = (
  config: TunnelConfig,
  plan: UnderlayPlan,
  local: VtepAddress,
  scopeId: number,
): TransmitterSpec => ({
  local,
  link: config.link,
  scopeId,
  df: config.doNotFragment,
  checksum: local.family === AF_INET ? config.checksum : !config.zeroChecksum6Tx,
  mark: config.mark ?? 0,
  flowLabel: local.family === AF_INET ? 0 : config.flowLabel,
  netns: config.underlayNetns,
  epoch: epochOf(plan),
  sourcePorts: config.sourcePorts,
});
