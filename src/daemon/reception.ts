/**
 * By what received datagrams are a tunnel's own: its VNI on each of its receivers, or, where headers have none, its key and the
 * addresses of its remote VTEPs on each of them.
 */
import type { TunnelConfig } from "../config/config.ts";
import { peerTwice, vniTwice } from "../config/contradictions.ts";
import type { Peer } from "../dataplane/peer-table.ts";
import type { Tables } from "../dataplane/tables.ts";
import { addressWords, parseVtepAddress } from "../dataplane/vtep-address.ts";
import { VtepdError } from "../errors.ts";
import { Encapsulation } from "./encapsulation.ts";
import type { Receiver } from "./receivers.ts";

export class Reception {
  private readonly config: TunnelConfig;
  private readonly encapsulation: Encapsulation;
  private readonly tables: Tables;
  private readonly bd: number;
  /** Canonical; undefined stands for whoever is no other tunnel's. */
  private readonly addresses = new Set<string | undefined>();
  private receivers: readonly Receiver[] = [];

  constructor(config: TunnelConfig, tables: Tables, bd: number) {
    this.config = config;
    this.encapsulation = new Encapsulation(config);
    this.tables = tables;
    this.bd = bd;
    if (config.accept === "any") this.addresses.add(undefined);
  }

  /** Whether it could begin on receivers. @throws ERR_CONFIG_CONFLICT */
  check(receivers: readonly Receiver[]): void {
    for (const receiver of receivers) this.checkFree(receiver);
  }

  /** Begins on receivers that it was not on. @throws ERR_CONFIG_CONFLICT, ERR_LIMIT, then nothing has changed */
  publish(receivers: readonly Receiver[]): void {
    const added = receivers.filter((receiver) => !this.receivers.includes(receiver));
    this.check(added);
    for (const receiver of added) {
      if (this.encapsulation.isByVni) this.tables.vnis.set(receiver.id, this.config.id, this.bd);
      else for (const address of this.addresses) this.tables.peers.set(this.row(receiver, address), this.bd);
    }
    this.receivers = [...this.receivers, ...added];
  }

  withdraw(receivers: readonly Receiver[]): void {
    for (const receiver of receivers) {
      if (this.encapsulation.isByVni) this.tables.vnis.delete(receiver.id, this.config.id);
      else for (const address of this.addresses) this.tables.peers.delete(this.row(receiver, address));
    }
    this.receivers = this.receivers.filter((receiver) => !receivers.includes(receiver));
  }

  /** A remote VTEP has come. @throws ERR_CONFIG_CONFLICT when it is another tunnel's with the same key, ERR_LIMIT */
  add(address: string): void {
    if (this.encapsulation.isByVni || this.addresses.has(address)) return;
    for (const receiver of this.receivers) this.checkPeer(receiver, address);
    this.addresses.add(address);
    for (const receiver of this.receivers) this.tables.peers.set(this.row(receiver, address), this.bd);
  }

  remove(address: string): void {
    if (this.encapsulation.isByVni || !this.addresses.delete(address)) return;
    for (const receiver of this.receivers) this.tables.peers.delete(this.row(receiver, address));
  }

  private checkFree(receiver: Receiver): void {
    if (!this.encapsulation.isByVni) {
      for (const address of this.addresses) this.checkPeer(receiver, address);
      return;
    }
    const { id: vni, name } = this.config;
    if ([0, this.bd].includes(this.tables.vnis.find(receiver.id, vni))) return;
    const { address, port } = receiver.spec;
    const path = `tunnels.${name}.id`;
    const words = vniTwice(vni, `port ${port} and local address ${address.text}`);
    throw new VtepdError("ERR_CONFIG_CONFLICT", `${path}: ${words}`, { path });
  }

  private checkPeer(receiver: Receiver, address: string | undefined): void {
    const holder = this.tables.peers.get(this.row(receiver, address));
    if (holder === 0 || holder === this.bd) return;
    const path = `tunnels.${this.config.name}.remote`;
    const words = peerTwice(address ?? "anybody", `local address ${receiver.spec.address.text}`);
    throw new VtepdError("ERR_CONFIG_CONFLICT", `${path}: ${words}`, { path });
  }

  private row(receiver: Receiver, address: string | undefined): Peer {
    const words = address === undefined ? undefined : addressWords(parseVtepAddress(address).mapped);
    return { binding: receiver.id, ...this.encapsulation.peer, address: words };
  }
}
