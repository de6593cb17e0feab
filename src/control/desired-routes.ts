/**
 * What shall be: making, changing and deleting tunnels, and the configuration as a whole. Settings are those of the
 * configuration file, and are checked by its own schema.
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { ChangeService } from "../dataplane/change.ts";
import type { DesiredState, Settings } from "../dataplane/desired-view.ts";
import type { VtepService } from "../dataplane/view.ts";
import { expectedGot } from "../errors.ts";
import { nameInPath } from "./device-parameter.ts";
import { LinkSchema, linkWithStats } from "./link-routes.ts";
import { answersJson, answersMade, answersNothing } from "./responses.ts";

const YAML = "application/yaml";

/** @param schema as the description has it; the configuration's own schema does the checking */
const map = (name: string, schema: object): z.ZodType<Settings> =>
  z
    .record(z.string(), z.unknown(), { error: ({ input }) => expectedGot("a map", input) })
    .openapi(name, schema) as z.ZodType<Settings>;

const NewLinkSchema = map("NewLink", {
  type: "object",
  additionalProperties: true,
  description: "The tunnel's name, and its settings: keys and values of `Settings`.",
  required: ["name", "mode"],
  properties: { name: { type: "string", maxLength: 15 }, mode: { type: "string" } },
});
const LinkChangeSchema = map("LinkChange", {
  type: "object",
  additionalProperties: true,
  description: "Some keys of `Settings` with their new values; null stands for the default.",
});

/** The body of a request. */
const bodyOf = (schema: z.ZodType<Settings>) => ({ required: true, content: { "application/json": { schema } } });

const ValueChangeSchema = z.object({ from: z.unknown(), to: z.unknown() });
const KeysSchema = z.record(z.string(), ValueChangeSchema);

const DifferenceSchema = z
  .object({
    added: z.array(z.string()),
    removed: z.array(z.string()),
    changed: z.record(z.string(), KeysSchema),
    remade: z
      .array(z.string())
      .openapi({ description: "Changed ones that are made anew, keeping their device if it fits." }),
    unchanged: z.number().int(),
    daemon: KeysSchema.openapi({ description: "Keys of `daemon` that take effect at the next start." }),
  })
  .openapi("Difference");

const dryRun = () =>
  z.strictObject({
    "dry-run": z
      .enum(["true", "false"], { error: ({ input }) => expectedGot("true or false", input) })
      .optional()
      .openapi({ param: { name: "dry-run", in: "query" } }),
  });

const state = () =>
  z.strictObject({
    state: z
      .enum(["up", "down"], { error: ({ input }) => expectedGot("up or down", input) })
      .optional()
      .openapi({
        param: { name: "state", in: "query" },
        description: "Whether the new device is set up, as without this, or left for somebody else to do.",
      }),
  });

export const addDesiredRoutes = (
  api: OpenAPIHono,
  service: VtepService,
  desired: DesiredState,
  changes: ChangeService,
): void => {
  const SettingsSchema = map("Settings", desired.settingsSchema());
  const link = (name: string) => linkWithStats(service.link(name), service.stats(name));

  api.openapi(
    createRoute({
      method: "post",
      path: "/v1/links",
      summary: "Make a tunnel: its settings as in the configuration file, and its name as `name`",
      request: { body: bodyOf(NewLinkSchema), query: state() },
      responses: answersMade("The tunnel", LinkSchema),
    }),
    async (context) => {
      const { name, ...written } = context.req.valid("json");
      const text = typeof name === "string" ? name : String(name ?? "");
      const down = context.req.valid("query").state === "down" ? { isDown: true as const } : {};
      await changes.run([{ op: "link-add", name: text, settings: written, ...down }]);
      return context.json(link(text), 201);
    },
  );
  api.openapi(
    createRoute({
      method: "patch",
      path: "/v1/links/{name}",
      summary: "Change a tunnel that was made over this socket: other values of keys, null for the default",
      request: { params: nameInPath(), body: bodyOf(LinkChangeSchema) },
      responses: answersJson("The tunnel", LinkSchema),
    }),
    async (context) => {
      const { name } = context.req.valid("param");
      await changes.run([{ op: "link-set", name, settings: context.req.valid("json") }]);
      return context.json(link(name));
    },
  );
  api.openapi(
    createRoute({
      method: "delete",
      path: "/v1/links/{name}",
      summary: "Delete a tunnel that was made over this socket, with its device",
      request: { params: nameInPath() },
      responses: answersNothing("Done"),
    }),
    async (context) => {
      await changes.run([{ op: "link-del", name: context.req.valid("param").name }]);
      return context.body(null, 204);
    },
  );
  api.openapi(
    createRoute({
      method: "get",
      path: "/v1/config",
      summary: "What is written, of the daemon and of all tunnels",
      responses: answersJson(
        "As in the configuration file; who owns each tunnel stands beside",
        z.object({
          version: z.literal(1),
          daemon: z.record(z.string(), z.unknown()),
          tunnels: z.record(z.string(), SettingsSchema),
          owners: z.record(z.string(), z.enum(["config", "control"])),
          restored: z
            .array(z.string())
            .optional()
            .openapi({ description: "Made over this socket before the daemon's start, and not changed since." }),
        }),
      ),
    }),
    (context) => {
      const { daemon, tunnels } = desired.written();
      const each = <Value>(of: (name: string) => Value) =>
        Object.fromEntries(Object.keys(tunnels).map((name) => [name, of(name)]));
      const restored = Object.keys(tunnels).filter((name) => tunnels[name]!.isRestored);
      return context.json({
        version: 1 as const,
        daemon,
        tunnels: each((name) => tunnels[name]!.settings),
        owners: each((name) => tunnels[name]!.owner),
        ...(restored.length === 0 ? {} : { restored }),
      });
    },
  );
  api.openapi(
    createRoute({
      method: "post",
      path: "/v1/config/reload",
      summary:
        "Read the configuration file again and bring it into effect, or with `dry-run` only say what would change",
      request: { query: dryRun() },
      responses: answersJson("What has changed", DifferenceSchema),
    }),
    async (context) => context.json(await desired.reload(context.req.valid("query")["dry-run"] === "true")),
  );
  api.openapi(
    createRoute({
      method: "put",
      path: "/v1/config",
      summary: "Bring the text of a configuration file into effect, until the next reload or start",
      request: {
        query: dryRun(),
        body: { required: true, content: { [YAML]: { schema: z.string() } } },
      },
      responses: answersJson("What has changed", DifferenceSchema),
    }),
    async (context) =>
      context.json(await desired.applyText(await context.req.text(), context.req.valid("query")["dry-run"] === "true")),
  );
};
