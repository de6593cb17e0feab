/** `trace`. */
import type { TraceView } from "../../dataplane/trace-view.ts";
import { type Commands, linkPath, print, type Run } from "./call.ts";

const traceText = ({ steps }: TraceView): string => {
  const width = Math.max(...steps.map(({ step }) => step.length));
  return steps.map(({ step, text }) => `${step.padEnd(width)}  ${text}\n`).join("");
};

const frame: Run = async (call) => {
  const { client, values } = call;
  const bytes = values.get("bytes")!.replaceAll(/[\s:]/g, "");
  const body = { frame: bytes, from: values.get("from") };
  const view = await client.sendForJson<TraceView>("POST", `${linkPath(values.get("dev")!)}/trace`, body);
  print(call, view, traceText);
};

export const traceCommands: Commands = { "trace frame": frame };
