import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { ConfinedWorker } from "./test/support/confined-worker.ts";

/** Tests with daemons and guests, which take longest, first: none of them shall be left alone at the end. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const long = ({ moduleId }: TestSpecification): number => (/test\/(netns|interop|chaos)\//.test(moduleId) ? 0 : 1);
    return (await super.sort(files)).sort((a, b) => long(a) - long(b));
  }
}

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // A process per file: the addon holds kernel objects, and a crash must name the file that caused it.
    pool: { name: "confined", createPoolWorker: (options) => new ConfinedWorker(options) },
    // A test's daemons, peers and commands keep about one core busy; one is left, for tests that measure time. Where there are
    // only two, three files wait for each other less than two would wait for nothing.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    sequence: { sequencer: LongFirst },
    // What was expected and what came instead, whole: a failure elsewhere cannot be looked at again.
    chaiConfig: { truncateThreshold: 4000 },
    // Several times what the longest takes: a machine may be slow, and a test that fails says so long before.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
