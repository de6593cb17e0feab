/** The addon's pure functions, asked through native/build-tools/offload-tool (`make -C native/tools`). */
import { join, resolve } from "node:path";
import { LineProgram } from "../support/line-program.ts";

/** VTEPD_TOOLS names another folder, e.g. that of the programs with sanitizers. */
const FOLDER = process.env["VTEPD_TOOLS"] ?? resolve(import.meta.dirname, "../../native/build-tools");

/** Path of a program of native/tools. */
export const toolPath = (name: string): string => resolve(join(FOLDER, name));

export const toHex = (bytes: Uint8Array): string => (bytes.length === 0 ? "-" : Buffer.from(bytes).toString("hex"));
/** Plain arrays, as these print and compare well. */
export const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex === "-" ? "" : hex, "hex"));

/** What a frame begins with. */
export type FrameKind = "ethernet" | "ip";

export type ChecksumPath = "scalar" | "avx2" | "neon" | "best";

export class OffloadTool {
  readonly #program = new LineProgram(toolPath("offload-tool"));

  /** The segments' bytes, undefined when it is refused. `gsoType` as in the vnet header. */
  async split(
    gsoType: number,
    gsoSize: number,
    frame: Uint8Array,
    kind: FrameKind = "ethernet",
  ): Promise<Uint8Array[] | undefined> {
    const answer = await this.#ask(`split ${gsoType} ${gsoSize} ${kind} ${toHex(frame)}`);
    return answer === "refused" ? undefined : answer.split(" ").map(fromHex);
  }

  /**
   * The sum of `data`, `shift` bytes behind the start of a block of memory, and `initial`: in the processor's byte order,
   * folded. Undefined when this processor lacks the path.
   */
  async checksum(path: ChecksumPath, initial: number, shift: number, data: Uint8Array): Promise<number | undefined> {
    const answer = await this.#ask(`checksum ${path} ${initial} ${shift} ${toHex(data)}`);
    return answer === "absent" ? undefined : Number(answer);
  }

  /** The frame with its checksum, undefined when it is refused. */
  async complete(csumStart: number, csumOffset: number, frame: Uint8Array): Promise<Uint8Array | undefined> {
    const answer = await this.#ask(`complete ${csumStart} ${csumOffset} ${toHex(frame)}`);
    return answer === "refused" ? undefined : fromHex(answer);
  }

  /**
   * What becomes of messages of a packet socket without link header: of each a word, or the whole packet's message, and how many
   * packets were given up by then.
   */
  async fragments(messages: readonly { readonly nowS: number; readonly message: Uint8Array }[]): Promise<string[]> {
    const answer = await this.#ask(`fragments ${messages.map((m) => `${m.nowS} ${toHex(m.message)}`).join(" ")}`);
    return answer.split(/ (?=\S+ \d+(?: |$))/);
  }

  close(): Promise<void> {
    return this.#program.close();
  }

  async #ask(request: string): Promise<string> {
    const answer = await this.#program.ask(request);
    if (/^(expected|wrong)/.test(answer)) throw new Error(`offload-tool: ${answer} (${request.slice(0, 60)})`);
    return answer;
  }
}
