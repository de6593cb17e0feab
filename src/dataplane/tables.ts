/**
 * All tables that the main thread writes and every worker reads, made once at start. `TableMemory` is what crosses the
 * thread boundary (typed arrays over SharedArrayBuffers, shared by structured clone); `Tables` is a thread's view of it.
 */
import { AssociationTable } from "./association-table.ts";
import { BindingTable } from "./binding-table.ts";
import { BridgeDomains, MAX_BRIDGE_DOMAINS } from "./bridge-domain.ts";
import { Fdb } from "./fdb.ts";
import { allocateFdb, type FdbMemory } from "./fdb-memory.ts";
import { FloodPool } from "./flood-pool.ts";
import { allocateNeighbours, NeighbourTable } from "./neighbour-table.ts";
import { PeerTable } from "./peer-table.ts";
import { allocatePolicers, Policers } from "./policers.ts";
import { PortTable } from "./port-table.ts";
import { allocateRemotes, MAX_REMOTES, type RemoteMemory, RemoteTable } from "./remote-table.ts";
import { allocateSourcePolicers, type SourcePolicerMemory, SourcePolicers } from "./source-policers.ts";
import { VniTable } from "./vni-table.ts";

export interface TableMemory {
  readonly fdb: FdbMemory;
  readonly bridgeDomains: Int32Array;
  readonly bindings: Int32Array;
  readonly vnis: Int32Array;
  readonly peers: Int32Array;
  readonly ports: Int32Array;
  readonly floods: Int32Array;
  readonly remotes: RemoteMemory;
  readonly policers: Int32Array;
  readonly sourcePolicers: SourcePolicerMemory;
  readonly neighbours: Int32Array;
  readonly associations: Int32Array;
}

export interface Tables {
  readonly fdb: Fdb;
  readonly bridgeDomains: BridgeDomains;
  readonly bindings: BindingTable;
  readonly vnis: VniTable;
  readonly peers: PeerTable;
  readonly ports: PortTable;
  readonly floods: FloodPool;
  readonly remotes: RemoteTable;
  readonly policers: Policers;
  readonly sourcePolicers: SourcePolicers;
  readonly neighbours: NeighbourTable;
  readonly associations: AssociationTable;
}

/** @param fdbCapacity entries of all bridge domains together */
export const allocateTableMemory = (fdbCapacity: number): TableMemory => ({
  fdb: allocateFdb(fdbCapacity, MAX_BRIDGE_DOMAINS, MAX_REMOTES),
  bridgeDomains: new BridgeDomains().words,
  bindings: new BindingTable().words,
  vnis: new VniTable().words,
  peers: new PeerTable().words,
  ports: new PortTable().words,
  floods: new FloodPool().words,
  remotes: allocateRemotes(),
  policers: allocatePolicers(),
  sourcePolicers: allocateSourcePolicers(),
  neighbours: allocateNeighbours(),
  associations: new AssociationTable().words,
});

export const openTables = (memory: TableMemory): Tables => ({
  fdb: new Fdb(memory.fdb),
  bridgeDomains: new BridgeDomains(memory.bridgeDomains),
  bindings: new BindingTable(memory.bindings),
  vnis: new VniTable(memory.vnis),
  peers: new PeerTable(memory.peers),
  ports: new PortTable(memory.ports),
  floods: new FloodPool(memory.floods),
  remotes: new RemoteTable(memory.remotes),
  policers: new Policers(memory.policers),
  sourcePolicers: new SourcePolicers(memory.sourcePolicers),
  neighbours: new NeighbourTable(memory.neighbours),
  associations: new AssociationTable(memory.associations),
});
