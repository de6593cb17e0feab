/** `capture`: pcapng to a file, or to standard output for tcpdump and Wireshark. */
import { closeSync, openSync, writeSync } from "node:fs";
import { VtepdError } from "../../errors.ts";
import { PcapngBlocks } from "../pcapng-blocks.ts";
import type { Call, Commands, Run } from "./call.ts";

interface Target {
  take(bytes: Uint8Array): Promise<void>;
  close(): void;
}

const fileTarget = (path: string): Target => {
  try {
    const fd = openSync(path, "w", 0o600);
    return {
      take: async (bytes) => {
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      },
      close: () => closeSync(fd),
    };
  } catch (cause) {
    throw new VtepdError("ERR_USAGE", `cannot write ${path}: ${(cause as Error).message}`, { cause });
  }
};

const targetOf = ({ values, io }: Call): Target => {
  const path = values.get("write");
  if (path !== undefined && path !== "-") return fileTarget(path);
  if (io.isTerminal) {
    const message = "a capture is binary: give `write FILE`, or a pipe: vtepctl capture | tcpdump -nr -";
    throw new VtepdError("ERR_USAGE", message);
  }
  return { take: io.outBytes, close: () => {} };
};

/** @param layer undefined = both */
const capture =
  (layer?: "inner" | "outer"): Run =>
  async (call) => {
    const { client, values, io } = call;
    const number = (key: string): number | undefined => (values.has(key) ? Number(values.get(key)) : undefined);
    const { take, close } = targetOf(call);
    const request = {
      dev: values.get("dev"),
      layer,
      filter: values.get("filter"),
      snaplen: number("snaplen"),
      count: number("count"),
    };
    const blocks = new PcapngBlocks();
    let forget = (): void => {};
    const takeBlocks = async (bytes: Uint8Array): Promise<void> => {
      const whole = blocks.push(bytes);
      if (whole.length > 0) await take(whole);
    };
    try {
      await client.postForBytes("/v1/capture", request, takeBlocks, (location) => {
        // It ends by itself when the daemon has given the rest.
        forget = io.onInterrupt(() => void client.send("DELETE", location).catch(() => {}));
      });
    } finally {
      forget();
      close();
      if (blocks.hasBegun) io.err(summary(blocks));
    }
  };

/** As tcpdump ends. */
const summary = ({ packets, dropped }: PcapngBlocks): string =>
  `${packets} packet${packets === 1 ? "" : "s"} captured\n${dropped} packet${dropped === 1 ? "" : "s"} dropped by vtepd\n`;

export const captureCommands: Commands = {
  "capture all": capture(),
  "capture inner": capture("inner"),
  "capture outer": capture("outer"),
};
