/** Lines for another network namespace: they are taken up again there. */
import { VtepdError } from "../../errors.ts";
import { namespaceInode, namespacePath } from "../namespace.ts";
import { VTEPCTL } from "../programs.ts";
import type { Line } from "./line.ts";
import { passOn } from "./real-program.ts";

const PROGRAMS = ["ip", "bridge", "brctl"];

/** A line of ours as a program with words; `-socket` has come by the environment. */
const again = (program: string, argv: readonly string[]): string[] => [process.execPath, VTEPCTL, program, ...argv];

/** `ip -n NS ...`, `ip netns exec NS COMMAND ...`; returns the exit status. @throws ERR_NETNS_NOT_FOUND */
export const inNamespace = (line: Line, program: string = "ip"): number => {
  const namespace = line.value("netns");
  if (namespace !== undefined) {
    const path = namespacePath(namespace);
    if (namespaceInode(path) === undefined) {
      const message = `Cannot open network namespace "${namespace}": No such file or directory`;
      throw new VtepdError("ERR_NETNS_NOT_FOUND", message);
    }
    return passOn("nsenter", [`--net=${path}`, "--", ...again(program, [...line.options("netns"), ...line.words])]);
  }
  const [object, verb, ...command] = line.words;
  const at = line.has("all") ? 0 : 1;
  const inner = command[at];
  // A shim in PATH is found there anyway; without one, the line was `vtepctl ip ...`.
  if (inner === undefined || !PROGRAMS.includes(inner)) return passOn("ip", line.argv);
  const words = [...line.options(), object!, verb!, ...command.slice(0, at), ...again(inner, command.slice(at + 1))];
  return passOn("ip", words);
};
