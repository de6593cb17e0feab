/** `completion`, and what its scripts ask. */
import type { LinkJson } from "../../control/link-json.ts";
import type { ControlClient } from "../client.ts";
import { complete } from "../completion.ts";
import { COMPLETION_SCRIPTS } from "../completion-script.ts";
import type { Commands, Run } from "./call.ts";

const printScript =
  (shell: string): Run =>
  async ({ out }) =>
    out(COMPLETION_SCRIPTS[shell]!);

export const completionCommands: Commands = Object.fromEntries(
  Object.keys(COMPLETION_SCRIPTS).map((shell) => [`completion ${shell}`, printScript(shell)]),
);

/** Words that a line may go on with, a line each. A daemon that does not answer has no names. */
export const completions = async (line: string, client: ControlClient): Promise<string> => {
  const links = async (): Promise<string[]> => {
    try {
      return (await client.getJson<LinkJson[]>("/v1/links")).map(({ ifname }) => ifname);
    } catch {
      return [];
    }
  };
  return (await complete(line, { links })).map((word) => `${word}\n`).join("");
};
