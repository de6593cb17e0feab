/**
 * The kernel's own segmentation: a superframe goes into one TAP, and what the kernel makes of it comes out of another that
 * takes no offloads. Both are in a namespace of their own; the test connects them. native/tools/tap-oracle.cc does the
 * work (`make -C native/tools`).
 */
import { execFileSync } from "node:child_process";
import { Netns } from "../native/netns.ts";
import { fromHex, toHex, toolPath } from "../native/offload-tool.ts";
import { LineProgram } from "../support/line-program.ts";

const NEEDS_CSUM = 1;

export interface VnetFields {
  readonly gsoType: number;
  readonly gsoSize: number;
  /** Bytes of all headers. */
  readonly headerLength: number;
  readonly csumStart: number;
  readonly csumOffset: number;
  /** Offsets of the outer UDP and inner IP header: with them it is the header of 24 bytes, struct virtio_net_hdr_v1_hash_tunnel. */
  readonly tunnel?: { readonly outerTransport: number; readonly innerNetwork: number };
}

const vnetHeader = (fields: VnetFields): Uint8Array => {
  const header = Buffer.alloc(fields.tunnel === undefined ? 12 : 24);
  header[0] = NEEDS_CSUM;
  header[1] = fields.gsoType;
  header.writeUInt16LE(fields.headerLength, 2);
  header.writeUInt16LE(fields.gsoSize, 4);
  header.writeUInt16LE(fields.csumStart, 6);
  header.writeUInt16LE(fields.csumOffset, 8);
  if (fields.tunnel !== undefined) {
    header.writeUInt16LE(fields.tunnel.outerTransport, 20);
    header.writeUInt16LE(fields.tunnel.innerNetwork, 22);
  }
  return header;
};

export class TapOracle {
  static readonly WRITER = "t0";
  static readonly READER = "t1";
  readonly netns = new Netns();
  readonly #program: LineProgram;

  constructor() {
    // No neighbour discovery or multicast reports among the segments.
    this.set("ipv6/conf/all/disable_ipv6", 1);
    this.set("ipv6/conf/default/disable_ipv6", 1);
    this.#program = new LineProgram("ip", ["netns", "exec", this.netns.name, toolPath("tap-oracle")]);
  }

  /** Writes below /proc/sys/net of the namespace. */
  set(path: string, value: number): void {
    execFileSync("ip", ["netns", "exec", this.netns.name, "sh", "-c", `echo ${value} >/proc/sys/net/${path}`]);
  }

  /** Makes the TAPs; they are down. */
  async open(): Promise<void> {
    await this.#ask(`open ${TapOracle.WRITER} ${TapOracle.READER}`);
  }

  /** TUNSETOFFLOAD of the writer; TUN_F_* bits. */
  async offload(flags: number): Promise<void> {
    await this.#ask(`offload ${flags}`);
  }

  /** Frames that come out when this is written, the kernel's own segments. @throws Error when the kernel refuses it. */
  async forward(fields: VnetFields, frame: Uint8Array): Promise<Uint8Array[]> {
    const answer = await this.#ask(`forward ${toHex(vnetHeader(fields))} ${toHex(frame)}`);
    return answer === "-" ? [] : answer.split(" ").map(fromHex);
  }

  async close(): Promise<void> {
    await this.#program.close();
    this.netns.delete();
  }

  async #ask(request: string): Promise<string> {
    const answer = await this.#program.ask(request);
    if (answer.startsWith("errno")) throw new Error(`tap-oracle: ${answer} (${request.slice(0, 60)})`);
    return answer;
  }
}
