/**
 * One end of a TCP transfer: `receive ADDRESS PORT` prints the SHA-256 of what comes; `send ADDRESS PORT BYTES SEED` sends,
 * `serve ADDRESS PORT BYTES SEED` sends to who connects, and both print the SHA-256 of what they sent.
 */
import { createCipheriv, createHash } from "node:crypto";
import { connect, createServer, type Socket } from "node:net";

const [verb, address, port, bytes = "0", seed = "0"] = process.argv.slice(2) as [
  string,
  string,
  string,
  string?,
  string?,
];
const CHUNK = 1 << 16;

if (verb === "receive") {
  const hash = createHash("sha256");
  const server = createServer((socket) => {
    socket.on("data", (data) => hash.update(data));
    socket.on("end", () => {
      console.log(`sha256 ${hash.digest("hex")}`);
      socket.end();
      server.close();
    });
  });
  server.listen(Number(port), address, () => console.log("listening"));
} else {
  // A key stream: every byte differs from its neighbours, so a lost, repeated or swapped segment changes the hash.
  const stream = createCipheriv("aes-128-ctr", Buffer.alloc(16, Number(seed)), Buffer.alloc(16));
  const hash = createHash("sha256");
  let left = Number(bytes);
  const pump = (socket: Socket): void => {
    while (left > 0) {
      const data = stream.update(Buffer.alloc(Math.min(left, CHUNK)));
      left -= data.length;
      hash.update(data);
      if (!socket.write(data)) {
        socket.once("drain", () => pump(socket));
        return;
      }
    }
    socket.end();
    console.log(`sha256 ${hash.digest("hex")}`);
  };
  if (verb === "send") {
    const socket = connect(Number(port), address);
    socket.on("connect", () => pump(socket));
  } else {
    const server = createServer((socket) => {
      pump(socket);
      server.close();
    });
    server.listen(Number(port), address, () => console.log("listening"));
  }
}
