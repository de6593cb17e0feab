/** IP packets that a test has made itself, header and all, sent from a host of the lab. */
import type { Host } from "./host.ts";

/** The kernel writes total length, checksum and, where it is 0, the identification of IPv4 headers; of IPv6 nothing. */
const PROGRAM = `
import socket, sys
for line in sys.stdin:
    to, packet = line.split()
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        sender.sendto(bytes.fromhex(packet), (to, 0))
`;

export const sendPackets = (host: Host, to: string, ...packets: readonly Uint8Array[]): void => {
  const lines = packets.map((packet) => `${to} ${Buffer.from(packet).toString("hex")}\n`);
  host.run("python3", ["-c", PROGRAM], { input: lines.join("") });
};
