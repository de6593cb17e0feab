/** What `import` takes, loaded as the configuration's schema is (check-file.ts): it stays outside of the one file of vtepctl. */

export const importSources = (): Promise<typeof import("./import/sources.ts")> => import("./import/sources.ts");
