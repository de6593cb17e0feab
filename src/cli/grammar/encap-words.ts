/** `encap fou|gue ...`: tunnels put into UDP, in iproute2's words. */
import { number, oneOf, orWord } from "./check.ts";
import type { Settings, TypeWord } from "./link-type.ts";
import { implied, nothing, refused, refusedAlone } from "./type-word.ts";

const AUTO = ["auto"];

const change = (settings: Settings, part: Settings): void => {
  settings["encap"] = { ...(settings["encap"] as Settings | undefined), ...part };
};

/** @param kinds of header, iproute2's and ours */
export const encapWords = (kinds: readonly string[]): TypeWord[] => {
  const all = [...kinds, "none"];
  return [
    { names: ["noencap"], values: [], set: (settings) => delete settings["encap"] },
    {
      names: ["encap"],
      values: [{ placeholder: `{ ${all.join(" | ")} }`, check: oneOf(all, "invalid encap type"), choices: all }],
      set: (settings, [type]) => {
        if (type === "none") delete settings["encap"];
        else change(settings, { type });
      },
    },
    {
      names: ["encap-sport"],
      values: [
        {
          placeholder: "auto",
          check: orWord(number(0, 0, "source ports are by the flow: auto"), AUTO),
          choices: AUTO,
        },
      ],
      set: nothing,
    },
    {
      names: ["encap-dport"],
      values: [{ placeholder: "PORT", check: number(1, 65_535, "invalid destination port") }],
      set: (settings, [port]) => change(settings, { port: Number(port) }),
    },
    implied("encap-csum"),
    implied("encap-csum6"),
    refusedAlone("noencap-csum", "UDP checksums are always sent, which every receiver takes"),
    refusedAlone("noencap-csum6", "UDP checksums are always sent, which every receiver takes"),
    refused(["encap-remcsum"], "remote checksum offload is not spoken"),
  ];
};
