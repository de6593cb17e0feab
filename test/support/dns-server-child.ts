/**
 * The program behind DnsServer: answers DNS queries (RFC 1035) over UDP from a table that changes. Arguments: address, port.
 *
 *   stdin   {"name":"a.example","records":[{"address":"192.0.2.2","ttl":5}]}   what the name has from now on; [] = no such name
 *           {"name":"a.example","failing":true}                                answered SERVFAIL from now on
 *   stdout  {"ready":true}, then {"query":"a.example","type":"A"} per query
 */
import { createSocket } from "node:dgram";
import { createInterface } from "node:readline";
import ipaddr from "ipaddr.js";

interface Entry {
  readonly name: string;
  readonly records?: readonly { readonly address: string; readonly ttl: number }[];
  readonly failing?: boolean;
}

const HEADER_BYTES = 12;
const TYPE_A = 1;
const TYPE_AAAA = 28;
const CLASS_IN = 1;
const NO_ERROR = 0;
const SERVER_FAILURE = 2;
const NAME_ERROR = 3;
/** A pointer to the name in the question. */
const NAME_POINTER = 0xc000 | HEADER_BYTES;

const [address = "", port = ""] = process.argv.slice(2);
const table = new Map<string, Entry>();
const print = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

/** The name of the question, and where what follows it begins. */
const readName = (query: Buffer): { name: string; end: number } => {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), end: at + 1 };
};

const record = (type: number, text: string, ttl: number): Buffer => {
  const data = Buffer.from(ipaddr.parse(text).toByteArray());
  const head = Buffer.alloc(12);
  head.writeUInt16BE(NAME_POINTER, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(CLASS_IN, 4);
  head.writeUInt32BE(ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
};

const answerTo = (query: Buffer): Buffer => {
  const { name, end } = readName(query);
  const type = query.readUInt16BE(end);
  print({ query: name, type: type === TYPE_A ? "A" : type === TYPE_AAAA ? "AAAA" : String(type) });
  const { records = [], failing = false } = table.get(name) ?? {};
  const fitting = records.filter((row) => (row.address.includes(":") ? TYPE_AAAA : TYPE_A) === type);
  const code = failing ? SERVER_FAILURE : records.length === 0 ? NAME_ERROR : NO_ERROR;
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  // A response, authoritative; recursion as it was asked for, and available.
  header.writeUInt16BE(0x8480 | (query.readUInt16BE(2) & 0x0100) | code, 2);
  header.writeUInt16BE(1, 4);
  const answers = failing ? [] : fitting;
  header.writeUInt16BE(answers.length, 6);
  const question = query.subarray(HEADER_BYTES, end + 4);
  return Buffer.concat([header, question, ...answers.map((row) => record(type, row.address, row.ttl))]);
};

const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
socket.on("message", (query, from) => socket.send(answerTo(query), from.port, from.address));
socket.bind(Number(port), address, () => print({ ready: true }));

createInterface({ input: process.stdin }).on("line", (line) => {
  const entry = JSON.parse(line) as Entry;
  table.set(entry.name, entry);
  print({ set: entry.name });
});
