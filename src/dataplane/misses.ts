/**
 * Tells the main thread what the tables did not know: MACs without an FDB entry and addresses without a neighbour. Each is
 * told about once a second by each worker: what was told last is remembered by hash, so that a stream of frames to one
 * unknown station does not fill the upcall ring. Worker.
 */
import { STATUS_NOW_S } from "../binding/abi.ts";
import { UPCALL_BD, UPCALL_KIND, UPCALL_L2_MISS, UPCALL_L3_MISS, type UpcallRing } from "./upcall-ring.ts";

/** A power of two. */
const SLOTS = 1024;

export class Misses {
  private readonly status: Int32Array;
  private readonly upcalls: UpcallRing;
  private readonly keys = new Int32Array(SLOTS);
  private readonly toldS = new Int32Array(SLOTS);

  constructor(status: Int32Array, upcalls: UpcallRing) {
    this.status = status;
    this.upcalls = upcalls;
  }

  /** A unicast frame from the overlay has no FDB entry. */
  mac(bd: number, macHi: number, macLo: number): void {
    if (this.wasTold(macLo ^ Math.imul(macHi ^ (bd << 16), 0x9e3779b1))) return;
    const record = this.begin(UPCALL_L2_MISS, bd);
    if (record === 0) return;
    this.upcalls.record[record + 2] = macHi;
    this.upcalls.record[record + 3] = macLo;
    this.upcalls.commit();
  }

  /** Somebody asks for an address, in network order, that no neighbour has. */
  address(bd: number, a0: number, a1: number, a2: number, a3: number): void {
    if (this.wasTold(~a3 ^ Math.imul(a2 ^ a1 ^ a0 ^ bd, 0x9e3779b1))) return;
    const record = this.begin(UPCALL_L3_MISS, bd);
    if (record === 0) return;
    const { record: words } = this.upcalls;
    words[record + 2] = a0;
    words[record + 3] = a1;
    words[record + 4] = a2;
    words[record + 5] = a3;
    this.upcalls.commit();
  }

  private begin(kind: number, bd: number): number {
    const record = this.upcalls.begin();
    if (record === 0) return 0;
    this.upcalls.record[record + UPCALL_KIND] = kind;
    this.upcalls.record[record + UPCALL_BD] = bd;
    return record;
  }

  private wasTold(key: number): boolean {
    const slot = (key ^ (key >>> 16)) & (SLOTS - 1);
    const nowS = this.status[STATUS_NOW_S]!;
    if (this.keys[slot] === key && this.toldS[slot] === nowS) return true;
    this.keys[slot] = key;
    this.toldS[slot] = nowS;
    return false;
  }
}
