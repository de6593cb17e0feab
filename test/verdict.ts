/**
 * What a run of all tests came to, for .ci/run.
 *
 *   npm run -s test:verdict files REPORT           the files in which something failed or did not run, a line each
 *   npm run -s test:verdict totals REPORT [AGAIN]  what failed and why, then `N passed, N failed` alone on a line; exit status 1 if any did
 *
 * REPORT is vitest's JSON report of all tests, AGAIN that of a second run of those files alone, on a machine with nothing beside it. What
 * passes only there is counted as passed and named: it does not hold on a busy machine, and that is to be mended, but it says nothing
 * against the change under test.
 */
import { readFileSync } from "node:fs";
import { relative } from "node:path";

interface Test {
  fullName: string;
  status: "passed" | "failed" | "skipped" | "pending" | "todo";
  failureMessages?: string[];
  /** Milliseconds. */
  duration?: number;
}
interface File {
  name: string;
  status: string;
  message: string;
  assertionResults: Test[];
}

const read = (path: string): File[] => JSON.parse(readFileSync(path, "utf8")).testResults;
const place = (file: File): string => relative(process.cwd(), file.name);
/** A file that cannot be loaded has no tests, and is one that failed. */
const testsOf = (file: File): Test[] =>
  file.status === "failed" && file.assertionResults.every(({ status }) => status === "passed")
    ? [...file.assertionResults, { fullName: "(the file itself)", status: "failed", failureMessages: [file.message] }]
    : file.assertionResults;
const isWhole = (file: File): boolean => testsOf(file).every(({ status }) => status === "passed");
/** The report has no message of a test that ran out of time, only the place where it begins. */
const tell = (what: string, file: File, { fullName, failureMessages = [], duration = 0 }: Test): void => {
  const messages = failureMessages.join("\n").replace("STACK_TRACE_ERROR", `no end after ${Math.round(duration)} ms`);
  console.log(`${what}: ${place(file)}: ${fullName}\n${messages.slice(0, 2000)}`);
};

const [command, first, second] = process.argv.slice(2);
if (first === undefined) throw new Error("test/verdict.ts: expected files or totals, and a report's path");
const files = read(first);
if (command === "files") {
  for (const file of files.filter((file) => !isWhole(file))) console.log(place(file));
} else {
  const again = new Map((second === undefined ? [] : read(second)).map((file) => [file.name, file]));
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for (const file of files) {
    const last = again.get(file.name) ?? file;
    for (const test of testsOf(last)) {
      totals[test.status === "passed" || test.status === "failed" ? test.status : "skipped"]++;
      if (test.status !== "passed") tell(test.status, file, test);
    }
    if (last === file || !isWhole(last)) continue;
    for (const test of testsOf(file))
      if (test.status !== "passed") tell("passed only alone, in a second run", file, test);
  }
  if (totals.skipped > 0) console.log(`${totals.skipped} tests did not run`);
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
  process.exitCode = totals.failed + totals.skipped > 0 ? 1 : 0;
}
