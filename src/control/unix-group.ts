/** The number of a group of this host, by /etc/group: Node.js has no getgrnam(3). */
import { readFileSync } from "node:fs";
import { VtepdError } from "../errors.ts";

const GROUP_FILE = "/etc/group";

/** Takes a name or a decimal number. @throws ERR_CONFIG_VALUE when there is no such group */
export const groupId = (group: string, groupFile: string = GROUP_FILE): number => {
  if (/^\d{1,9}$/.test(group)) return Number(group);
  let lines: string[];
  try {
    lines = readFileSync(groupFile, "utf8").split("\n");
  } catch (cause) {
    throw new VtepdError("ERR_CONFIG_VALUE", `cannot look up group "${group}" in ${groupFile}`, { cause });
  }
  for (const line of lines) {
    // name:password:gid:members, group(5)
    const [name, , gid] = line.split(":");
    if (name === group && gid !== undefined && /^\d+$/.test(gid)) return Number(gid);
  }
  throw new VtepdError(
    "ERR_CONFIG_VALUE",
    `expected a group of this host, got "${group}", which is not in ${groupFile}`,
  );
};
