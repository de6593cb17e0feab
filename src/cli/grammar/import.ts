/** `import`: tunnels of others as our configuration. */
import { isAnything } from "./check.ts";
import type { CommandObject } from "./table.ts";

export const importing: CommandObject = {
  name: "import",
  summary: "configuration of netplan, networkd or the kernel, as vtepd's",
  verbs: [
    {
      names: ["netplan"],
      operand: { key: "file", placeholder: "FILE", check: isAnything, choices: "file", required: true },
      repeats: true,
      values: [],
    },
    {
      names: ["networkd"],
      operand: { key: "folder", placeholder: "DIR", check: isAnything, choices: "file", required: true },
      values: [],
    },
    { names: ["live"], values: [{ key: "netns", placeholder: "NETNS", check: isAnything, choices: "netns" }] },
  ],
};
