/**
 * Merging, and splitting what was merged, as the addon does them. Unlike OffloadTool it waits for the answers, so that a
 * table of cases stays one line a case.
 */
import { execFileSync } from "node:child_process";
import { type FrameKind, fromHex, toHex, toolPath } from "./offload-tool.ts";

const WORDS_PER_UNIT = 7;

/** What one write to a TAP would carry: numbers of the vnet header, zero for a frame that stayed alone, and the frame. */
export interface Unit {
  readonly gsoType: number;
  readonly gsoSize: number;
  readonly headerLength: number;
  readonly csumStart: number;
  readonly csumOffset: number;
  readonly segments: number;
  readonly bytes: Uint8Array;
}

/** One answer per request. @throws Error when the tool does not understand one. */
const ask = (requests: readonly string[]): string[] => {
  const output = execFileSync(toolPath("offload-tool"), {
    input: requests.map((line) => `${line}\n`).join(""),
    encoding: "utf8",
  });
  const answers = output.split("\n").slice(0, -1);
  const complaint = answers.find((answer) => /wrong arguments|expected/.test(answer));
  if (complaint !== undefined || answers.length !== requests.length) throw new Error(`offload-tool: ${complaint}`);
  return answers;
};

/** Offers the frames in this order. `mergeUdp`: the TAP takes UDP superframes; default true. `kind`: what they begin with. */
export const merge = (
  frames: readonly Uint8Array[],
  { mergeUdp = true, kind = "ethernet" as FrameKind } = {},
): Unit[] => {
  const [answer] = ask([`merge ${mergeUdp ? 1 : 0} ${kind} ${frames.map(toHex).join(" ")}`]);
  const words = answer!.split(" ");
  const units: Unit[] = [];
  for (let i = 0; i < words.length; i += WORDS_PER_UNIT) {
    const [gsoType, gsoSize, headerLength, csumStart, csumOffset, segments] = words.slice(i, i + 6).map(Number);
    units.push({
      gsoType: gsoType!,
      gsoSize: gsoSize!,
      headerLength: headerLength!,
      csumStart: csumStart!,
      csumOffset: csumOffset!,
      segments: segments!,
      bytes: fromHex(words[i + 6]!),
    });
  }
  return units;
};

/** The frames that the units would be on the wire. @throws Error when one cannot be split. */
export const split = (units: readonly Unit[], kind: FrameKind = "ethernet"): Uint8Array[] => {
  const merged = units.filter(({ segments }) => segments > 1);
  const answers = ask(
    merged.map(({ gsoType, gsoSize, bytes }) => `split ${gsoType} ${gsoSize} ${kind} ${toHex(bytes)}`),
  );
  if (answers.includes("refused")) throw new Error("offload-tool: cannot split what it merged");
  return units.flatMap((unit) => (unit.segments > 1 ? answers.shift()!.split(" ").map(fromHex) : [unit.bytes]));
};
