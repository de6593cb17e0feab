/**
 * Limits of V8's compiler: for the workers' loop, and for the start.
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

/**
 * Bytecodes that a function runs through before it is optimised, 67584 by default. What loads the modules gets there, and is
 * needed no more: a third of the start's processor time went into compiling it. The loop gets there within some 500 frames.
 */
export const PATIENCE_FLAG = "--interrupt-budget=1000000";

/** To be called before the modules are loaded. */
export const compileLater = (): void => setFlagsFromString(PATIENCE_FLAG);

/** To be called before the first worker starts: flags are the process's, and read when a function is optimised. */
export const raiseInliningLimits = (): void => {
  for (const flag of COMPILER_FLAGS) setFlagsFromString(flag);
};
