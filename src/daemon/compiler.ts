/**
 * Limits of V8's compiler for the workers' loop.
 *
 * What a frame passes (classify, encapsulate, decapsulate, learn) is some twenty small functions. With V8's defaults of
 * 460 and 920 bytecodes the compiler stops inlining them half-way, and each call left over costs a few nanoseconds a
 * frame. Measured with bench/micro, together with the worker's bundle: DECISIONS.md has the numbers.
 */
import { setFlagsFromString } from "node:v8";

/** As V8 takes them on a command line. */
export const COMPILER_FLAGS: readonly string[] = [
  "--max-inlined-bytecode-size=1000",
  "--max-inlined-bytecode-size-cumulative=3000",
];

/** To be called before the first worker starts: flags are the process's, and read when a function is optimised. */
export const raiseInliningLimits = (): void => {
  for (const flag of COMPILER_FLAGS) setFlagsFromString(flag);
};
