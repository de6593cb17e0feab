/** The real `ip`, in some network namespace. */
import { VtepdError } from "../../errors.ts";
import { namespaceInode, ownInode } from "../namespace.ts";
import type { Call } from "./call.ts";

export class RealIp {
  readonly #execute: Call["execute"];
  /** What has to stand before its words. */
  readonly #before: readonly string[];

  /** @param path of the namespace */
  constructor({ execute }: Pick<Call, "execute">, path: string) {
    this.#execute = execute;
    this.#before = namespaceInode(path) === ownInode() ? ["ip"] : ["nsenter", `--net=${path}`, "ip"];
  }

  /** Returns what it prints. @throws ERR_HOST_COMMAND with what it says */
  run(...words: readonly string[]): string {
    const [program, ...argv] = [...this.#before, ...words] as [string, ...string[]];
    const { status, stdout, stderr } = this.#execute(program, argv);
    if (status === 0) return stdout;
    throw new VtepdError("ERR_HOST_COMMAND", stderr.trim() || `${program} ended with status ${status}`);
  }

  /** @throws ERR_HOST_COMMAND */
  json<Row>(...words: readonly string[]): Row[] {
    return JSON.parse(this.run("-j", ...words).trim() || "[]") as Row[];
  }
}
