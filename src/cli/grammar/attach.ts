/** `attach` and `detach`: a tunnel's device in a container. */
import { isAddress, isAnything, isNetwork, number } from "./check.ts";
import { requiredDev } from "./shared-values.ts";
import type { CommandObject } from "./table.ts";
import type { Value } from "./value.ts";

const pid: Value = {
  key: "pid",
  aliases: ["--pid"],
  placeholder: "PID",
  check: number(1, 0x7fffffff, "invalid number of a process"),
};
const container = (program: string): Value => ({
  key: program,
  aliases: [`--${program}`],
  placeholder: "CONTAINER",
  check: isAnything,
});
const netns: Value = {
  key: "netns",
  aliases: ["--netns"],
  placeholder: "{ NAME | PATH }",
  check: isAnything,
  choices: "netns",
};
const address: Value = {
  key: "address",
  aliases: ["--address"],
  placeholder: "ADDR/LENGTH",
  check: isNetwork,
  isList: true,
};
const route: Value = { key: "route", aliases: ["--route"], placeholder: "ADDR/LENGTH", check: isNetwork, isList: true };
const via: Value = { key: "via", aliases: ["--via"], placeholder: "ADDR", check: isAddress };

export const attach: CommandObject = {
  name: "attach",
  summary: "moves a tunnel's device into a container or another network namespace, with addresses and routes, up",
  isVerb: true,
  verbs: [
    {
      names: ["attach"],
      operand: requiredDev,
      values: [pid, container("docker"), container("podman"), netns, address, route, via],
      flags: ["default"],
    },
  ],
};

export const detach: CommandObject = {
  name: "detach",
  summary: "takes a device back to where its tunnel was made",
  isVerb: true,
  verbs: [{ names: ["detach"], operand: requiredDev, values: [] }],
};
