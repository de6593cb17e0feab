/** The name of the device that a line of `ip link add` asks for, and the one that Linux would choose. */

/** Words in front of `type` that have a value. */
const WITH_VALUE = [
  ..."link parentdev address broadcast mtu index numtxqueues numrxqueues".split(" "),
  ..."txqueuelen txqlen qlen master vrf netns group alias".split(" "),
];
const ALONE = ["up", "down"];

/** By type, where the device is not called after it. */
const STEMS: Readonly<Record<string, string>> = { ipip: "tunl", vti: "ip_vti", vti6: "ip6_vti" };

/** @param words behind the verb, up to `type` */
export const newName = (words: readonly string[]): string | undefined => {
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === "name" || word === "dev") return words[at + 1];
    if (WITH_VALUE.includes(word)) at++;
    else if (!ALONE.includes(word)) return word;
  }
  return undefined;
};

/** As the kernel chooses for a line without a name: the first number that is free. */
export const freeName = (type: string, isTaken: (name: string) => boolean): string => {
  const stem = STEMS[type] ?? type;
  for (let number = 0; ; number++) if (!isTaken(stem + number)) return stem + number;
};
