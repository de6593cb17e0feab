/** Values that requests have in common, and what an FDB entry, a flood-list member or a neighbour is asked for with. */
import { z } from "@hono/zod-openapi";
import { INTERFACE_NAME, isInterfaceName } from "../dataplane/interface-name.ts";
import { REMOTE_VTEP, readRemoteOrGroup, readVtep, VTEP_ADDRESS } from "../dataplane/vtep-text.ts";
import { expectedGot } from "../errors.ts";
import { FDB_MAC, fdbMacHint, parseMac, STATION_MAC, stationMacHint } from "../wire/mac.ts";

export const MAX_VNI = 0xffffff;

export const fdbMac = (): z.ZodType<string, string> =>
  z
    .string({ error: ({ input }) => expectedGot(FDB_MAC, input) })
    .transform((text, context) => {
      const hint = fdbMacHint(text);
      if (parseMac(text) !== undefined && hint === undefined) return text.toLowerCase();
      context.addIssue({ code: "custom", message: expectedGot(FDB_MAC, text, hint) });
      return z.NEVER;
    })
    .openapi({ example: "02:00:00:00:00:05" });
/** Canonical text, or a host name. A multicast group is for the tunnel to judge. */
export const remoteAddress = (): z.ZodType<string, string> =>
  z
    .string({ error: ({ input }) => expectedGot(REMOTE_VTEP, input) })
    .transform((text, context) => {
      const { address, hint } = readRemoteOrGroup(text);
      if (address !== undefined) return address;
      context.addIssue({ code: "custom", message: expectedGot(REMOTE_VTEP, text, hint) });
      return z.NEVER;
    })
    .openapi({ example: "192.0.2.2" });
const integer = (min: number, max: number): z.ZodNumber => {
  const error = ({ input }: { input?: unknown }): string => expectedGot(`an integer from ${min} to ${max}`, input);
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
};

export const interfaceName = (): z.ZodString => {
  const error = ({ input }: { input?: unknown }): string => expectedGot(INTERFACE_NAME, input);
  return z.string({ error }).refine(isInterfaceName, { error });
};

type Text = z.ZodType<string, string>;

/** `port`, `vni` and `via` where they are not the tunnel's own. */
type Member = {
  dst: Text;
  port: z.ZodOptional<z.ZodNumber>;
  vni: z.ZodOptional<z.ZodNumber>;
  via: z.ZodOptional<z.ZodString>;
};

type FdbChange = Member & {
  verb: z.ZodEnum<{ add: "add"; append: "append"; replace: "replace" }>;
  mac: Text;
  sticky: z.ZodOptional<z.ZodBoolean>;
};

type NeighbourChange = {
  verb: z.ZodEnum<{ add: "add"; replace: "replace" }>;
  address: Text;
  mac: Text;
  router: z.ZodOptional<z.ZodBoolean>;
};

/** An object with these keys and no others. */
type Strict<Shape extends z.core.$ZodLooseShape> = z.ZodObject<Shape, z.core.$strict>;

export const FdbChangeSchema: Strict<FdbChange> = z
  .strictObject({
    verb: z.enum(["add", "append", "replace"]),
    mac: fdbMac(),
    dst: remoteAddress(),
    port: integer(1, 65_535).optional(),
    vni: integer(0, MAX_VNI).optional(),
    via: interfaceName().optional().openapi({ description: "Underlay interface that copies to it leave by." }),
    sticky: z
      .boolean({ error: ({ input }) => expectedGot("true or false", input) })
      .optional()
      .openapi({ description: "Frames of the MAC from elsewhere are delivered, not dropped." }),
  })
  .openapi("FdbChange");

export const MemberSchema: Strict<Member> = FdbChangeSchema.omit({ verb: true, mac: true, sticky: true }).openapi(
  "FloodMember",
);

/** Canonical text. */
export const neighbourAddress = (): z.ZodType<string, string> =>
  z
    .string({ error: ({ input }) => expectedGot(VTEP_ADDRESS, input) })
    .transform((text, context) => {
      const { address, hint } = readVtep(text);
      if (address !== undefined) return address;
      context.addIssue({ code: "custom", message: expectedGot(VTEP_ADDRESS, text, hint) });
      return z.NEVER;
    })
    .openapi({ example: "10.42.0.2" });

const stationMac = (): z.ZodType<string, string> =>
  z
    .string({ error: ({ input }) => expectedGot(STATION_MAC, input) })
    .transform((text, context) => {
      const hint = stationMacHint(text);
      if (parseMac(text) !== undefined && hint === undefined) return text.toLowerCase();
      context.addIssue({ code: "custom", message: expectedGot(STATION_MAC, text, hint) });
      return z.NEVER;
    })
    .openapi({ example: "02:00:00:00:00:02" });

export const NeighbourChangeSchema: Strict<NeighbourChange> = z
  .strictObject({
    verb: z.enum(["add", "replace"]),
    address: neighbourAddress(),
    mac: stationMac(),
    router: z.boolean({ error: ({ input }) => expectedGot("true or false", input) }).optional(),
  })
  .openapi("NeighbourChange");
