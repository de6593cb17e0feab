/**
 * The program behind RawVtep: one UDP socket, datagrams as lines of JSON. Arguments: address, port.
 *
 *   stdin   {"to":"192.0.2.1","port":4789,"hex":"0800..."}    one datagram to send
 *   stdout  {"ready":true}, then {"from":"192.0.2.1","port":40000,"hex":"0800..."} per datagram received
 */
import { createSocket } from "node:dgram";
import { createInterface } from "node:readline";

const [address = "", port = ""] = process.argv.slice(2);
const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4", recvBufferSize: 4 << 20 });
const print = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

socket.on("message", (data, from) => print({ from: from.address, port: from.port, hex: data.toString("hex") }));
socket.on("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
  socket.close();
  process.stdin.destroy();
});
socket.bind(Number(port), address, () => print({ ready: true }));

createInterface({ input: process.stdin }).on("line", (line) => {
  const { to, port: toPort, hex } = JSON.parse(line) as { to: string; port: number; hex: string };
  socket.send(Buffer.from(hex, "hex"), toPort, to);
});
