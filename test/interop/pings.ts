/** What stations of the overlay say to each other by ping, over a vtepd tunnel and a peer's. */
import { expect } from "vitest";
import type { Column } from "./column.ts";
import { overlay4 } from "./peer.ts";

/** Hosts of a column. */
export const LEFT = 1;
export const PEER = 2;
export const THIRD = 3;

type Words = readonly (string | number)[];
/** Runs a line of bash, and returns its output. @throws Error when it fails */
export type RunLine = (line: string) => Promise<string>;

/**
 * Answers, and none twice. Asked again each second: a guest on a busy machine loses a frame now and then; and again when there is
 * no answer to the ARP request, which ends a ping.
 */
export const answered = async (run: RunLine, ...words: Words): Promise<void> => {
  const ping = ["ping -c 1 -w 20", ...words].join(" ");
  expect(await run(`for n in 1 2 3 4; do ${ping} && break; done`)).toMatch(/ [1-9]\d* received, [\d.]+% packet loss/);
};
/** No frame may come twice: as many answers as requests, to the broadcast address too. */
export const withoutCopies = async (run: RunLine, address: string): Promise<void> => {
  expect(await run(`ping -c 3 -i 0.1 -w 20 ${address}`)).toMatch(/ 3 received, [\d.]+% packet loss/);
};
export const silent = async (run: RunLine, ...words: Words): Promise<void> => {
  expect(await run(["ping -c 2 -i 0.02 -W 0.2", ...words, "|| true"].join(" "))).toContain("100% packet loss");
};
export const bothWays = async ({ onLeft, peer }: Column, ...words: Words): Promise<void> => {
  await answered(onLeft, ...words, overlay4(PEER));
  await answered(peer.run, ...words, overlay4(LEFT));
};
