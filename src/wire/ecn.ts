/**
 * Explicit congestion notification in tunnels, RFC 6040: the two low bits of the IPv4 TOS or IPv6 traffic class.
 *
 *   00 not-ECT: the transport does not understand it   01 ECT(1)   10 ECT(0)   11 CE: congestion experienced
 *
 * Encapsulation (section 4.1, normal mode): the outer header gets the inner one's. The Linux kernel makes ECT(0) of CE
 * there, as RFC 3168 had it.
 */
import { IP_TUNNEL_ECN, NOT_DROPPED } from "../drop-reason.ts";

export const ECN_MASK = 3;
const NOT_ECT = 0;
const ECT_1 = 1;
const ECT_0 = 2;
const CE = 3;

const IPV4_TOS = 1; // byte offsets in the header
const IPV4_CHECKSUM = 10;
/** Version and the upper half of the traffic class; its lower half, in the upper half of this byte, has the ECN bits. */
const IPV6_TRAFFIC_CLASS_LOW = 1;

/**
 * Section 4.2: carries what the outer header says over to the inner one at `offset`, whose ECN it has. Returns a drop
 * reason: CE on a packet that does not understand it.
 * @param inner, outer ECN bits
 */
export const decapsulateEcn = (bytes: Uint8Array, offset: number, inner: number, outer: number): number => {
  if (outer === CE) {
    if (inner === NOT_ECT) return IP_TUNNEL_ECN;
    if (inner !== CE) writeEcn(bytes, offset, CE);
  } else if (outer === ECT_1 && inner === ECT_0) {
    writeEcn(bytes, offset, ECT_1);
  }
  return NOT_DROPPED;
};

const writeEcn = (bytes: Uint8Array, offset: number, ecn: number): void => {
  if (bytes[offset]! >> 4 === 6) {
    const low = offset + IPV6_TRAFFIC_CLASS_LOW;
    bytes[low] = (bytes[low]! & ~(ECN_MASK << 4)) | (ecn << 4);
    return;
  }
  const before = bytes[offset + IPV4_TOS]!;
  const after = (before & ~ECN_MASK) | ecn;
  bytes[offset + IPV4_TOS] = after;
  const at = offset + IPV4_CHECKSUM;
  // RFC 1624 section 3, equation 3: ~(~HC + ~m + m').
  let sum = (~((bytes[at]! << 8) | bytes[at + 1]!) & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
  bytes[at] = sum >> 8;
  bytes[at + 1] = sum & 255;
};
