/**
 * The example file, config/vtepd.example.yaml, as text. A key that may be left out stands behind a `#` without a space, at
 * its default where it has one; prose stands behind `# `. The file loads as it is, and with every such `#` taken away.
 * A key stands at the first mode that has it; the other modes are shown with what is new in them.
 */
import { stringify } from "yaml";
import { branches, type SchemaNode, schemaRoot } from "./json-schema.ts";
import { type KeyRow, rowsOf } from "./key-table.ts";

const HEAD = `# yaml-language-server: $schema=vtepd.schema.json
#
# Every key of vtepd's configuration. A line that begins with # and no space is a key that may be left out,
# shown at its default where it has one, else with an example; one that cannot stand beside another is only told of.
# The reference is README.md.
`;

const LINE_WIDTH = 110;

const comment = (text: string, indent: string): string[] => {
  const lines = [`${indent}#`];
  for (const word of text.split(" ")) {
    const last = lines[lines.length - 1]!;
    if (last.length + 1 + word.length > LINE_WIDTH) {
      lines.push(`${indent}# ${word}`);
    } else {
      lines[lines.length - 1] = `${last} ${word}`;
    }
  }
  return lines;
};

/** A value on one line. */
const inline = (value: unknown): string =>
  stringify(value, { collectionStyle: "flow", flowCollectionPadding: true, lineWidth: 0 }).trimEnd();

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

/** What stands behind the key: the default, or an example where that would show nothing. */
const exampleOf = ({ node, maps }: KeyRow): unknown => {
  const item = maps.find(({ items }) => items?.properties !== undefined)?.items;
  if (item !== undefined) {
    return [Object.fromEntries(rowsOf(item).map((row) => [row.name, exampleOf(row)]))];
  }
  return node.default === undefined || isEmptyList(node.default) ? node.examples?.[0] : node.default;
};

const kind = ({ type, unit, node, required }: KeyRow): string => {
  const fallback = required ? "required" : node.default === undefined ? "no default" : "";
  const parts = [type, unit, isEmptyList(node.default) ? "empty by default" : fallback];
  return parts
    .filter((part) => part !== "")
    .join(", ")
    .replaceAll("`", "");
};

const keyLines = (row: KeyRow, indent: string): string[] => {
  const description = row.description.replaceAll("`", "");
  const sections = row.maps.filter(({ properties }) => properties !== undefined);
  if (sections.length > 0) {
    const keys = sections.flatMap((section) => mapLines(section, `${indent}  `));
    return ["", ...comment(description, indent), `${indent}${row.name}:`, ...keys, ""];
  }
  if (row.insteadOf !== undefined) {
    return comment(`${description} (instead of ${row.insteadOf}) ${row.name}: ${inline(exampleOf(row))}`, indent);
  }
  const mark = row.required ? "" : "#";
  return [
    ...comment(`${description} (${kind(row)})`, indent),
    `${indent}${mark}${row.name}: ${inline(exampleOf(row))}`,
  ];
};

const mapLines = (map: SchemaNode, indent: string): string[] => {
  const lines = rowsOf(map)
    .filter(({ aliasOf }) => aliasOf === undefined)
    .flatMap((row) => keyLines(row, indent));
  // A section has an empty line on either side: one between two sections is enough, and none is needed at the start.
  return lines.filter((line, index) => line !== "" || (index > 0 && lines[index - 1] !== ""));
};

/**
 * A further mode: where it goes from and to, its remote VTEP another one for each, and those of its keys that
 * are `news` or must be there.
 */
const furtherLines = (mode: SchemaNode, nth: number, news: ReadonlySet<string>): string[] => {
  const name = String(mode.properties?.["mode"]?.const);
  const isOverIpv6 = /^(ip|vti).*6/.test(name);
  // Those without `accept` hear anybody, so that each needs an address of its own.
  const own = mode.properties?.["accept"] === undefined ? `2${nth}` : "1";
  const remote = isOverIpv6 ? `2001:db8::1${nth}` : `192.0.2.1${nth}`;
  const isTunnel = mode.properties?.["local"] !== undefined;
  const properties = Object.entries(mode.properties ?? {}).filter(
    ([key]) => key !== "local" && (news.has(key) || mode.required?.includes(key)),
  );
  const lines = ["", `  ${name}1:`, ...mapLines({ ...mode, properties: Object.fromEntries(properties) }, "    ")];
  if (!isTunnel) return lines;
  return [
    ...lines,
    `    local: ${isOverIpv6 ? "2001:db8::1" : `192.0.2.${own}`}`,
    ...(mode.properties?.["remote"] === undefined ? [] : [`    remote: ${remote}`]),
  ];
};

/** One tunnel per mode. */
const tunnelLines = (row: KeyRow): string[] =>
  row.maps.flatMap(({ propertyNames, additionalProperties }) => {
    const [first, ...others] = additionalProperties ? branches(additionalProperties) : [];
    if (first === undefined) return [];
    const seen = new Set(Object.keys(first.properties ?? {}));
    const lines = [`  ${propertyNames?.examples?.[0]}:`, ...mapLines(first, "    ")];
    for (const [nth, mode] of others.entries()) {
      const news = new Set(Object.keys(mode.properties ?? {}).filter((key) => !seen.has(key)));
      for (const key of news) seen.add(key);
      lines.push(...furtherLines(mode, nth, news));
    }
    return lines;
  });

export const renderExample = (): string => {
  const lines = rowsOf(schemaRoot()).flatMap((row) =>
    row.name === "tunnels" ? [...comment(row.description, ""), `${row.name}:`, ...tunnelLines(row)] : keyLines(row, ""),
  );
  return `${HEAD}\n${lines.join("\n")}\n`;
};
