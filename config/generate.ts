/** Writes the generated files of this folder. Run by `npm run generate`; test/config/generated.test.ts compares them. */
import { writeFileSync } from "node:fs";
import { manualPage } from "../src/cli/manual-page.ts";
import { renderExample } from "../src/config/example.ts";
import { printSchema } from "../src/config/json-schema.ts";
import { renderReference } from "../src/config/reference.ts";
import { scenarioFiles } from "../src/config/scenario-file.ts";

const write = (file: string, text: string): void => writeFileSync(new URL(file, import.meta.url), text);

write("README.md", renderReference(scenarioFiles(new URL("./", import.meta.url))));
write("vtepd.example.yaml", renderExample());
write("vtepd.schema.json", printSchema());
write("vtepctl.8", manualPage());
