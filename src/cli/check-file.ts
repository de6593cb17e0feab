/**
 * Checks a configuration file. What that takes is loaded here and nowhere else, from where it lies: the build puts the rest of vtepctl
 * into one file, so that it starts fast, and this folder's import stays outside.
 */

/** @throws ERR_CONFIG_* */
export const checkFile = async (path: string): Promise<void> => {
  const { loadConfig } = await import("../config/load.ts");
  loadConfig(path);
};
