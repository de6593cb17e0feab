/** A file of systemd's: sections of settings, a section or a setting may come again. Pieces of it in FILE.d/*.conf are added. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { VtepdError } from "../../errors.ts";

export interface Section {
  readonly name: string;
  readonly settings: ReadonlyMap<string, readonly string[]>;
}

const COMMENT = /^\s*([#;]|$)/;

/** An empty value takes back those before it. */
const parse = (text: string): Section[] => {
  const sections: { name: string; settings: Map<string, string[]> }[] = [];
  for (const line of text.replaceAll(/\\\n/g, " ").split("\n")) {
    if (COMMENT.test(line)) continue;
    const header = /^\s*\[([^\]]+)\]/.exec(line);
    if (header !== null) sections.push({ name: header[1]!, settings: new Map() });
    const at = line.indexOf("=");
    const settings = sections.at(-1)?.settings;
    if (header !== null || at < 0 || settings === undefined) continue;
    const [key, value] = [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    settings.set(key, value === "" ? [] : [...(settings.get(key) ?? []), value]);
  }
  return sections;
};

const read = (file: string): string => {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new VtepdError("ERR_CONFIG_READ", `${file}: expected a readable file, got: ${(cause as Error).message}`, {
      cause,
    });
  }
};

export class UnitFile {
  readonly sections: readonly Section[];

  /** @throws ERR_CONFIG_READ */
  constructor(file: string) {
    const folder = `${file}.d`;
    const pieces = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".conf")) : [];
    const files = [file, ...pieces.sort().map((name) => join(folder, name))];
    this.sections = files.flatMap((each) => parse(read(each)));
  }

  /** Each section of a name by itself, e.g. [Route]. */
  named(name: string): readonly Section[] {
    return this.sections.filter((section) => section.name === name);
  }

  /** All values of a setting, of all sections of that name. */
  all(section: string, key: string): readonly string[] {
    return this.named(section).flatMap(({ settings }) => settings.get(key) ?? []);
  }

  /** The last one counts. */
  one(section: string, key: string): string | undefined {
    return this.all(section, key).at(-1);
  }
}
