/** Where the addon under test is, for threads and processes that load it without TypeScript. Same rule as addon.ts. */
import { fileURLToPath } from "node:url";

export const ADDON_FILE =
  process.env["VTEPD_ADDON"] ?? fileURLToPath(new URL("../../native/build/Release/vtepd.node", import.meta.url));
