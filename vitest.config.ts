import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // A fork per file: the addon holds kernel objects, and a crash must name the file that caused it.
    pool: "forks",
    // Files with real devices share two cores; side by side they would time each other out.
    fileParallelism: false,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
