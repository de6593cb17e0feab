/** `link`. */
import type { LinkJson } from "../../control/link-json.ts";
import { jsonText } from "../json-list.ts";
import { linkText } from "../link-text.ts";
import { type Commands, linkPath, type Run, wantsJson, wantsPretty, wantsStats } from "./call.ts";

const showLinks: Run = async (call) => {
  const dev = call.values.get("dev");
  const links =
    dev === undefined
      ? await call.client.getJson<LinkJson[]>("/v1/links")
      : [await call.client.getJson<LinkJson>(linkPath(dev))];
  if (!wantsJson(call)) {
    call.out(links.map((link) => linkText(link, wantsStats(call))).join(""));
    return;
  }
  const withoutStats = ({ stats64: _, ...link }: LinkJson): Omit<LinkJson, "stats64"> => link;
  call.out(jsonText(wantsStats(call) ? links : links.map(withoutStats), wantsPretty(call)));
};

const rekey: Run = ({ client, values }) => client.send("PUT", `${linkPath(values.get("dev")!)}/associations`);

export const linkCommands: Commands = { "link show": showLinks, "link rekey": rekey };
