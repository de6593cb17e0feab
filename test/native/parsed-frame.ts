/** An Ethernet frame with TCP or UDP taken apart, and what is wrong with it. It trusts the headers: for tests' own frames. */
import { onesComplementSum } from "../support/frame-builder.ts";

export interface ParsedFrame {
  /** With tags. */
  readonly ethernet: Buffer;
  /** With options or extension headers. */
  readonly ip: Buffer;
  readonly transport: Buffer;
  readonly payload: Buffer;
  readonly isIpv6: boolean;
  readonly protocol: number;
}

const UDP = 17;
const EXTENSIONS = [0, 43, 60];

const ipEnd = (bytes: Buffer, ip: number): [end: number, protocol: number] => {
  if (bytes[ip]! >> 4 === 4) return [ip + (bytes[ip]! & 15) * 4, bytes[ip + 9]!];
  let [end, protocol] = [ip + 40, bytes[ip + 6]!];
  while (EXTENSIONS.includes(protocol)) [end, protocol] = [end + (bytes[end + 1]! + 1) * 8, bytes[end]!];
  return [end, protocol];
};

export const parseFrame = (frame: Uint8Array): ParsedFrame => {
  const bytes = Buffer.from(frame);
  let ip = 14;
  while ([0x8100, 0x88a8].includes(bytes.readUInt16BE(ip - 2))) ip += 4;
  const [transport, protocol] = ipEnd(bytes, ip);
  const payload = transport + (protocol === UDP ? 8 : (bytes[transport + 12]! >> 4) * 4);
  return {
    ethernet: bytes.subarray(0, ip),
    ip: bytes.subarray(ip, transport),
    transport: bytes.subarray(transport, payload),
    payload: bytes.subarray(payload),
    isIpv6: bytes[ip]! >> 4 === 6,
    protocol,
  };
};

/** Lengths and checksums that are not what the frame's bytes say they should be. */
export const mistakesOf = (frame: Uint8Array): string[] => {
  const { ip, transport, payload, isIpv6, protocol } = parseFrame(frame);
  const transportLength = transport.length + payload.length;
  const addresses = isIpv6 ? ip.subarray(8, 40) : ip.subarray(12, 20);
  const pseudo = onesComplementSum(addresses, protocol + transportLength);
  const checks: [string, boolean][] = [
    isIpv6
      ? ["payload length", ip.readUInt16BE(4) === ip.length - 40 + transportLength]
      : ["total length", ip.readUInt16BE(2) === ip.length + transportLength],
    ["IPv4 header checksum", isIpv6 || onesComplementSum(ip) === 0xffff],
    ["UDP length", protocol !== UDP || transport.readUInt16BE(4) === transportLength],
    ["UDP checksum of zero", protocol !== UDP || transport.readUInt16BE(6) !== 0],
    ["transport checksum", onesComplementSum(Buffer.concat([transport, payload]), pseudo) === 0xffff],
  ];
  return checks.filter(([, isRight]) => !isRight).map(([name]) => name);
};
