/** `flood`. */
import type { Command } from "../command-line.ts";
import { type Commands, linkPath, print, type Run } from "./call.ts";

interface Member {
  readonly dst: string;
  readonly port?: number;
  readonly vni?: number;
  readonly via?: string;
}

const floodPath = (values: Command["values"]): string => `${linkPath(values.get("dev")!)}/flood`;

const showFlood: Run = async (call) => {
  const members = await call.client.getJson<Member[]>(floodPath(call.values));
  const text = ({ dst, ...own }: Member): string => `${["dst", dst, ...Object.entries(own).flat()].join(" ")}\n`;
  print(call, members, (all) => all.map(text).join(""));
};

const memberOf = (values: Command["values"]): Member => ({
  dst: values.get("dst")!,
  ...(values.has("port") ? { port: Number(values.get("port")) } : {}),
  ...(values.has("vni") ? { vni: Number(values.get("vni")) } : {}),
  ...(values.has("via") ? { via: values.get("via")! } : {}),
});

const addFlood: Run = ({ client, values }) => client.send("POST", floodPath(values), memberOf(values));

const deleteFlood: Run = ({ client, values }) => {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(memberOf(values))) query.set(key, String(value));
  return client.send("DELETE", `${floodPath(values)}?${query}`);
};

const setFlood: Run = ({ client, values, list }) => client.send("PUT", floodPath(values), list.map(memberOf));

export const floodCommands: Commands = {
  "flood show": showFlood,
  "flood add": addFlood,
  "flood del": deleteFlood,
  "flood set": setFlood,
};
