/** `import`: asks no daemon. */
import { importSources } from "../import-sources.ts";
import type { Call, Commands, Run } from "./call.ts";

const print = (call: Call, { text, warnings }: { text: string; warnings: readonly string[] }): void => {
  call.out(text);
  for (const warning of warnings) call.note(warning);
};

const netplan: Run = async (call) => {
  const files = call.list.map((element) => element.get("file")!);
  const { importNetplan, importText } = await importSources();
  print(call, importText(`netplan: ${files.join(", ")}`, importNetplan(files)));
};

const networkd: Run = async (call) => {
  const folder = call.values.get("folder")!;
  const { importNetworkd, importText } = await importSources();
  print(call, importText(`networkd: ${folder}`, importNetworkd(folder)));
};

const live: Run = async (call) => {
  const netns = call.values.get("netns") ?? (call.options.get("netns") as string | undefined);
  const { importLive, importText } = await importSources();
  const where = netns === undefined ? "" : ` of network namespace ${netns}`;
  print(call, importText(`the kernel's devices${where}`, importLive(call, netns)));
};

export const importCommands: Commands = {
  "import netplan": netplan,
  "import networkd": networkd,
  "import live": live,
};
