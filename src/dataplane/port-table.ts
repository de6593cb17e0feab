/**
 * What a port id means. Ids are the same in every worker; behind one id each worker has its own descriptor (a queue of
 * the TAP, a reuse-port socket). The main thread writes an id's row before workers are given the port.
 */
import { MAX_PORTS } from "../binding/abi.ts";
import { VtepdError } from "../errors.ts";

export const PORT_WORDS = 2;
/** PORT_* of the addon; 0 = free. */
export const PORT_KIND = 0;
/** TAP: its bridge domain. Everything else: its binding. */
export const PORT_OWNER = 1;

export class PortTable {
  readonly words: Int32Array;

  constructor(words: Int32Array = new Int32Array(new SharedArrayBuffer(MAX_PORTS * PORT_WORDS * 4))) {
    this.words = words;
  }

  /** The first of `count` consecutive free ids, marked as `kind` of `owner`. Id 0 is never given. @throws ERR_LIMIT */
  allocate(kind: number, owner: number, count = 1): number {
    let run = 0;
    for (let port = 1; port < MAX_PORTS; port++) {
      run = this.words[port * PORT_WORDS + PORT_KIND] === 0 ? run + 1 : 0;
      if (run < count) continue;
      const first = port - count + 1;
      for (let id = first; id <= port; id++) {
        this.words[id * PORT_WORDS + PORT_OWNER] = owner;
        this.words[id * PORT_WORDS + PORT_KIND] = kind;
      }
      return first;
    }
    throw new VtepdError("ERR_LIMIT", `expected at most ${MAX_PORTS - 1} TAP and socket ports, got ${count} more`);
  }

  release(first: number, count = 1): void {
    this.words.fill(0, first * PORT_WORDS, (first + count) * PORT_WORDS);
  }

  kind(port: number): number {
    return this.words[port * PORT_WORDS + PORT_KIND]!;
  }

  owner(port: number): number {
    return this.words[port * PORT_WORDS + PORT_OWNER]!;
  }
}
