/**
 * The JSON schema of the configuration, and how to walk it. Everything that describes the keys (suggestions for unknown
 * ones, the key reference, the example file) reads this, so that the typed table stays the only place that lists them.
 */
import { z } from "zod";
import type { KeyPath } from "./problem.ts";
import { configSchema } from "./schema.ts";

/** The parts of a JSON schema that the table produces. */
export interface SchemaNode {
  readonly type?: string;
  readonly const?: unknown;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  /** Ours: the unit of a number. */
  readonly unit?: string;
  /** Ours: the key that this one is another spelling of. */
  readonly aliasOf?: string;
  /** Another key that this one cannot stand beside. */
  readonly insteadOf?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false | SchemaNode;
  readonly propertyNames?: SchemaNode;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
}

/**
 * zod leaves default and examples out where a transformation could make them wrong for what is written in the file. Here
 * both are always what may be written, so they are put back.
 */
const restore: NonNullable<z.core.ToJSONSchemaParams["override"]> = ({ zodSchema, jsonSchema }) => {
  const { def } = zodSchema._zod;
  const examples = z.globalRegistry.get(zodSchema)?.["examples"];
  if (def.type === "default") {
    jsonSchema.default = def.defaultValue as NonNullable<typeof jsonSchema.default>;
  }
  if (Array.isArray(examples)) {
    jsonSchema.examples = examples as NonNullable<typeof jsonSchema.examples>;
  }
};

let root: SchemaNode | undefined;

/** What may be written in the file, not what it becomes. Made once, when first asked for. */
export const schemaRoot = (): SchemaNode => {
  root ??= {
    title: "Configuration of vtepd",
    ...(z.toJSONSchema(configSchema, { io: "input", override: restore }) as SchemaNode),
  };
  return root;
};

/** What may be written of one tunnel. */
export const tunnelJsonSchema = (): SchemaNode =>
  schemaRoot().properties?.["tunnels"]?.anyOf?.find(({ type }) => type === "object")?.additionalProperties || {};

/** For editors and other programs: a JSON schema, draft 2020-12, as text. */
export const printSchema = (): string => `${JSON.stringify(schemaRoot(), null, 2)}\n`;

/** The alternatives of a node that are maps or lists: itself, the modes of a tunnel, the non-empty form of a section. */
export const branches = (node: SchemaNode): SchemaNode[] => {
  const alternatives = [...(node.oneOf ?? []), ...(node.anyOf ?? [])].flatMap(branches);
  return node.type === "object" || node.type === "array" ? [node, ...alternatives] : alternatives;
};

const below = (node: SchemaNode, step: string | number): SchemaNode[] =>
  branches(node).flatMap(({ properties, additionalProperties, items }) => {
    const found = typeof step === "number" ? items : (properties?.[step] ?? additionalProperties);
    return found === undefined || found === false ? [] : [found];
  });

/** Whether a tunnel of this mode may be so. */
const isOfMode = ({ properties }: SchemaNode, mode: unknown): boolean => {
  const own = properties?.["mode"]?.const;
  return own === undefined || mode === undefined || own === mode;
};

/** The keys that the map at `path` may have. @param mode of the tunnel that it is in; undefined = any */
export const keysAt = (path: KeyPath, mode?: unknown): string[] => {
  const nodes = path.reduce<SchemaNode[]>(
    (found, step) => found.flatMap((node) => below(node, step)).filter((node) => isOfMode(node, mode)),
    [schemaRoot()],
  );
  const maps = nodes.flatMap(branches).filter((node) => isOfMode(node, mode));
  return [...new Set(maps.flatMap(({ properties }) => Object.keys(properties ?? {})))];
};
