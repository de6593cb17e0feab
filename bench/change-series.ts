/**
 * FDB changes of one entry each, as fast as they are answered over one connection: HTTP/1.1 written by hand on a socket, because a request
 * of node:http takes its client about as long as it takes the daemon. And what the disk alone takes: the journal is written for each.
 */
import { closeSync, constants, openSync, rmSync, writeSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";

const ANSWER = "HTTP/1.1 204 ";
const END_OF_HEAD = "\r\n\r\n";
/** Of the journal for one entry. */
const RECORD_BYTES = 120;

/** @param body of the n-th change */
const requestOf = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: vtepd\r\ncontent-type: application/json\r\ncontent-length: ${body.length}${END_OF_HEAD}${body}`;

/** Changes a second. @param inFlight that are sent before the first is answered @throws Error for an answer of failure */
export const changeSeries = (
  socket: string,
  path: string,
  bodyOf: (n: number) => string,
  { inFlight, ms }: { inFlight: number; ms: number },
): Promise<number> =>
  new Promise((resolve, reject) => {
    const since = performance.now();
    const connection = connect(socket);
    let [sent, answered, heard] = [0, 0, ""];
    const send = (): void => {
      while (sent - answered < inFlight && performance.now() - since < ms) {
        connection.write(requestOf(path, bodyOf(sent++)));
      }
      if (sent === answered) connection.end();
    };
    connection.setEncoding("latin1").on("data", (text: string) => {
      heard += text;
      for (let end = heard.indexOf(END_OF_HEAD); end >= 0; end = heard.indexOf(END_OF_HEAD)) {
        if (!heard.startsWith(ANSWER)) reject(new Error(heard));
        heard = heard.slice(end + END_OF_HEAD.length);
        answered++;
      }
      send();
    });
    connection.on("error", reject).on("connect", send);
    connection.on("close", () => resolve((answered * 1000) / (performance.now() - since)));
  });

/** Writes a second, each on the disk before the next, as the journal makes them. */
export const diskSeries = (folder: string, ms: number): number => {
  const path = join(folder, "disk-series");
  const { O_RDWR, O_CREAT, O_DSYNC } = constants;
  const file = openSync(path, O_RDWR | O_CREAT | O_DSYNC);
  try {
    const record = Buffer.alloc(RECORD_BYTES, 1);
    writeSync(file, Buffer.alloc(1 << 20), 0, undefined, 0); // room, as the journal has
    const since = performance.now();
    let count = 0;
    for (; performance.now() - since < ms; count++) {
      writeSync(file, record, 0, RECORD_BYTES, (count * RECORD_BYTES) % (1 << 20));
    }
    return (count * 1000) / (performance.now() - since);
  } finally {
    closeSync(file);
    rmSync(path);
  }
};
