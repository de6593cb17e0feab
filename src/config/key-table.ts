/** The rows that the key reference and the example file are made of. */
import { branches, type SchemaNode } from "./json-schema.ts";

export interface KeyRow {
  readonly name: string;
  readonly required: boolean;
  readonly description: string;
  /** Kind of value, e.g. `list: IP address`. */
  readonly type: string;
  /** Empty for what has none. */
  readonly unit: string;
  readonly node: SchemaNode;
  /** The key that this one is another spelling of. */
  readonly aliasOf: string | undefined;
  readonly insteadOf: string | undefined;
  /** The alternatives that its value has, when that is a map or a list. */
  readonly maps: readonly SchemaNode[];
}

const typeOf = (node: SchemaNode): string => {
  const [map] = branches(node);
  if (map?.items !== undefined) {
    return `list: ${map.items.title ?? "map"}`;
  }
  return map === undefined ? (node.title ?? node.type ?? "") : "map";
};

/** The keys of one map, in the order of the table. */
export const rowsOf = (map: SchemaNode): KeyRow[] =>
  Object.entries(map.properties ?? {}).map(([name, node]) => ({
    name,
    required: map.required?.includes(name) ?? false,
    description: node.description ?? "",
    type: typeOf(node),
    unit: node.unit ?? "",
    node,
    aliasOf: node.aliasOf,
    insteadOf: node.insteadOf,
    maps: branches(node),
  }));
