/**
 * The local VTEP address of a tunnel that has neither remote nor group nor local, as kernels let vxlan be made: they choose
 * a source by the route of each packet. vtepd receives at one address, and takes that of the interface those would leave by.
 */
import type { Settings } from "../grammar/link-type.ts";
import type { Call } from "./call.ts";

interface Address {
  readonly family: string;
  readonly local?: string;
  readonly scope: string;
}

/** What `ip -j` prints, where the tunnel's underlay is; nothing when it fails. */
const ipJson = <Row>({ execute }: Call, netns: string | undefined, argv: readonly string[]): Row[] => {
  const inside = netns?.includes("/") === true;
  const [program, ...all] = [
    ...(inside ? ["nsenter", `--net=${netns}`] : []),
    "ip",
    ...(netns === undefined || inside ? [] : ["-n", netns]),
    "-j",
    ...argv,
  ] as [string, ...string[]];
  const { status, stdout } = execute(program, all);
  return status === 0 && stdout.trim() !== "" ? (JSON.parse(stdout) as Row[]) : [];
};

/** Undefined when the settings say it, or nothing does. @param netns of the underlay; undefined = ours */
export const localAddress = (call: Call, settings: Settings, netns: string | undefined): string | undefined => {
  if (["local", "remote", "group"].some((key) => settings[key] !== undefined)) return undefined;
  const link =
    (settings["link"] as string | undefined) ??
    ipJson<{ dev?: string }>(call, netns, ["route", "show", "default"])[0]?.dev;
  if (link === undefined) return undefined;
  const [shown] = ipJson<{ addr_info?: Address[] }>(call, netns, ["addr", "show", "dev", link]);
  const found = (shown?.addr_info ?? []).filter(({ scope, local }) => scope === "global" && local !== undefined);
  return (found.find(({ family }) => family === "inet") ?? found[0])?.local;
};
