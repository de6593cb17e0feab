/** Containers, and how their network namespaces are found: by a process of theirs, as people do by hand. */
import { VtepdError } from "../../errors.ts";
import { givenInode, namespaceInode, namespacePath } from "../namespace.ts";
import type { Call } from "./call.ts";

/** As a shell has it: a program that is not there. */
const NOT_FOUND = 127;
const WAYS = ["pid", "docker", "podman", "netns"] as const;

/** Path of the namespace that a process lives in. @throws ERR_NETNS_NOT_FOUND */
const ofProcess = (pid: string): string => {
  const path = `/proc/${pid}/ns/net`;
  if (namespaceInode(path) !== undefined) return path;
  throw new VtepdError("ERR_NETNS_NOT_FOUND", `there is no process ${pid}, or it may not be looked at`);
};

/** @throws ERR_HOST_COMMAND, ERR_NETNS_NOT_FOUND */
const ofContainer = ({ execute }: Call, program: string, name: string): string => {
  const { status, stdout, stderr } = execute(program, ["inspect", "--format", "{{.State.Pid}}", "--", name]);
  if (status === NOT_FOUND) {
    throw new VtepdError("ERR_HOST_COMMAND", `${program} is not there; name a process of the container with "pid"`);
  }
  if (status !== 0) throw new VtepdError("ERR_HOST_COMMAND", `${program} inspect ${name}: ${stderr.trim()}`);
  const pid = stdout.trim();
  if (pid === "0") throw new VtepdError("ERR_NETNS_NOT_FOUND", `container ${name} is not running`);
  if (!/^\d+$/.test(pid))
    throw new VtepdError("ERR_HOST_COMMAND", `${program} inspect ${name}: expected a process, got "${pid}"`);
  return ofProcess(pid);
};

/** Path of the namespace that a line names. @throws ERR_USAGE, ERR_HOST_COMMAND, ERR_NETNS_NOT_FOUND */
export const namedPlace = (call: Call): string => {
  const { values, words } = call;
  const given = WAYS.filter((way) => values.has(way));
  const [way] = given;
  if (way === undefined || given.length > 1) {
    const expected = ["pid PID", "docker CONTAINER", "podman CONTAINER", "netns NS"];
    throw words.incomplete(expected, "one of pid, docker, podman and netns is required");
  }
  const name = values.get(way)!;
  if (way === "pid") return ofProcess(name);
  if (way !== "netns") return ofContainer(call, way, name);
  givenInode(name);
  return namespacePath(name);
};
