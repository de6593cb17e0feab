/**
 * Bursts of UDP datagrams to a peer that does the same: `PEER PORT COUNT BYTES`. It says when it is listening, sends after
 * the first byte on stdin, and prints what came, after COUNT datagrams or two quiet seconds.
 */
import { createSocket } from "node:dgram";

const [peer, port, count, bytes] = process.argv.slice(2) as [string, string, string, string];
const COUNT = Number(count);
const BURST = 40;
/** A receiver that is kept waiting for some 80 ms loses nothing: its buffer takes four bursts. */
const PAUSE_MS = 20;
const QUIET_MS = 2000;

const socket = createSocket({ type: "udp4", recvBufferSize: 8 << 20 });
const numbers: number[] = [];
const sizes = new Set<number>();
let timer: NodeJS.Timeout | undefined;

const report = (): void => {
  clearTimeout(timer);
  const isInOrder = numbers.every((number, i) => number === i);
  console.log(JSON.stringify({ count: numbers.length, sizes: [...sizes], isInOrder }));
};

/** Its number, and filled with that. */
const datagram = (number: number): Buffer => {
  const data = Buffer.alloc(Number(bytes), number & 0xff);
  data.writeUInt32BE(number);
  return data;
};

const burst = (first: number): void => {
  const end = Math.min(first + BURST, COUNT);
  for (let number = first; number < end; number++) socket.send(datagram(number), Number(port), peer);
  if (end < COUNT) setTimeout(burst, PAUSE_MS, end);
};

socket.on("message", (data) => {
  const number = data.readUInt32BE(0);
  numbers.push(number);
  sizes.add(datagram(number).equals(data) ? data.length : -data.length);
  clearTimeout(timer);
  if (numbers.length === COUNT) report();
  else timer = setTimeout(report, QUIET_MS);
});
process.stdin.once("data", () => burst(0));
socket.bind(Number(port), () => console.log("listening"));
