/** Commands as elements of POST /v1/changes, which makes many in one call. */
import type { Command } from "./command-line.ts";

/** `op` and `dev` say what and where, the rest is what the call for one of them takes. */
export interface ChangeJson {
  readonly op: string;
  readonly dev: string;
  readonly [key: string]: unknown;
}

type Values = Command["values"];

const number = (values: Values, key: string): number | undefined =>
  values.has(key) ? Number(values.get(key)) : undefined;

const place = (values: Values): object => ({
  dst: values.get("dst"),
  port: number(values, "port"),
  vni: number(values, "vni"),
  via: values.get("via"),
});

type Make = (values: Values, dev: string) => ChangeJson;

export const fdbChange =
  (verb: string): Make =>
  (values, dev) => ({
    op: "fdb",
    dev,
    verb,
    mac: values.get("lladdr"),
    ...place(values),
    ...(values.has("sticky") ? { sticky: true } : {}),
  });

export const neighbourChange =
  (verb: string): Make =>
  (values, dev) => ({
    op: "neighbour",
    dev,
    verb,
    address: values.get("to"),
    mac: values.get("lladdr"),
    ...(values.has("router") ? { router: true } : {}),
  });

const MAKERS: Readonly<Record<string, Make>> = {
  "fdb add": fdbChange("add"),
  "fdb append": fdbChange("append"),
  "fdb replace": fdbChange("replace"),
  "fdb del": (values, dev) => ({ op: "fdb-del", dev, mac: values.get("lladdr"), dst: values.get("dst") }),
  "flood add": (values, dev) => ({ op: "flood", dev, ...place(values) }),
  "flood del": (values, dev) => ({ op: "flood-del", dev, ...place(values) }),
  "neighbour add": neighbourChange("add"),
  "neighbour replace": neighbourChange("replace"),
  "neighbour del": (values, dev) => ({ op: "neighbour-del", dev, address: values.get("to") }),
};

/** Undefined for a command that is none of these, or that has something to say. */
export const changeOf = ({ object, verb, values, options }: Command): ChangeJson | undefined => {
  if (typeof object !== "object" || typeof verb !== "object" || options.size > 0) return undefined;
  if (values.has("extern_learn")) return undefined;
  return MAKERS[`${object.name} ${verb.names[0]}`]?.(values, values.get("dev")!);
};
