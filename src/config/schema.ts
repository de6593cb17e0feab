/**
 * The configuration as one typed table: each key with its kind of value, default, unit and meaning. The JSON schema, the key
 * reference and the example file are made from it. Keys are netplan's; what leaves the schema is in our own words, with
 * every default filled in.
 *
 * To add a key: a line in tunnel-schema.ts or daemon-schema.ts, a field in the type that it becomes (config.ts), its name in the
 * files of the modes that have it (tunnel/). To add a mode: a file there.
 */
import { z } from "zod";
import type { Config } from "./config.ts";
import { daemonSchema } from "./daemon-schema.ts";
import { hostGatewaySchema } from "./host-gateway.ts";
import { key, map } from "./map.ts";
import { tunnelSchema } from "./tunnel-schema.ts";
import { interfaceName } from "./value.ts";

export const tunnelName: z.ZodType<string, string> = interfaceName().meta({ examples: ["vx42"] });

const fileOf = <Tunnel extends z.ZodType>(name: z.ZodType<string, string>, tunnel: Tunnel) =>
  map(
    {
      version: key(z.literal(1, { error: "1" }).meta({ title: "`1`" }), "Version of this format.", { examples: [1] }),
      daemon: key(daemonSchema, "The daemon itself."),
      tunnels: key(
        z
          .record(name, tunnel, { error: "a map" })
          .nullish()
          .transform((given) => given ?? {}),
        "The tunnels, by the name of their device.",
      ),
    },
    "a map with the keys version, daemon and tunnels",
  );

/** The whole file, for whoever describes it. */
export const configSchema: z.ZodType = fileOf(tunnelName, z.union([tunnelSchema, hostGatewaySchema]));

/** The file around the tunnels, which are checked one by one, so that a wrong name does not hide a wrong value. */
export const frameSchema: z.ZodType<
  Omit<Config, "tunnels" | "hostGateways" | "settings"> & { tunnels: Record<string, unknown> }
> = fileOf(z.string(), z.unknown());
