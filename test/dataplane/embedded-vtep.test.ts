import { describe, expect, it } from "vitest";
import { FLAG_IP_PACKET, FLAG_IPV6, FRAME_FLAGS, FRAME_OFFSET, FRAME_SOURCE } from "../../src/binding/abi.ts";
import { parseConfig } from "../../src/config/load.ts";
import { embeddingWords } from "../../src/daemon/embedding.ts";
import { BD_FLOOD, BD_NEXT_HOP } from "../../src/dataplane/bridge-domain.ts";
import { EmbeddedVtep, HELD } from "../../src/dataplane/embedded-vtep.ts";
import { UnknownVteps } from "../../src/dataplane/unknown-vteps.ts";
import { UPCALL_BD, UPCALL_KIND, UPCALL_UNKNOWN_VTEP } from "../../src/dataplane/upcall-ring.ts";
import { addressWords, formatVtepAddress, parseVtepAddress } from "../../src/dataplane/vtep-address.ts";
import { ipPacket } from "../support/frame-builder.ts";
import { MemoryVtep } from "../support/memory-io.ts";

const ROW = 0;
const OFFSET = 128;
const RELAY = "198.51.100.9";

/** @param tunnel as in the configuration */
const setUp = (tunnel: string) => {
  const vtep = new MemoryVtep();
  const { batch, tables, upcalls } = vtep;
  const [config] = parseConfig(`version: 1\ntunnels: { t: ${tunnel} }\n`, "vtepd.yaml").tunnels;
  const { bd } = vtep.tunnel(0);
  for (const [word, value] of embeddingWords(config!)) tables.bridgeDomains.set(bd, word, value);
  const embedded = new EmbeddedVtep(batch, tables, new UnknownVteps(batch, upcalls));
  const relay = vtep.remote(bd, RELAY, 0);
  tables.bridgeDomains.set(bd, BD_NEXT_HOP, relay);
  tables.bridgeDomains.set(bd, BD_FLOOD, tables.floods.store([relay], 1));
  const packet = (srcIp: string, dstIp: string): void => {
    batch.frames[ROW + FRAME_FLAGS] = FLAG_IP_PACKET | FLAG_IPV6;
    batch.frames[ROW + FRAME_OFFSET] = OFFSET;
    batch.arena.set(ipPacket({ srcIp, dstIp }, 59, ""), OFFSET);
  };
  return {
    /** VTEP that a packet is sent to: the one that is asked for, the relay, or none. */
    to: (destination: string): string => {
      packet("2001:db8::1", destination);
      const slot = embedded.nextHop(ROW, bd);
      if (slot !== HELD) return slot === relay ? "relay" : `${slot}`;
      let asked = "";
      upcalls.drain((record) => {
        expect([record[UPCALL_KIND], record[UPCALL_BD]]).toEqual([UPCALL_UNKNOWN_VTEP, bd]);
        asked = formatVtepAddress(new Uint8Array(record.slice(2, 6).buffer));
      });
      return asked;
    },
    /** Whether a packet is taken from an outer source. */
    takes: (outer: string, source: string, destination: string): boolean => {
      packet(source, destination);
      batch.frames.set(addressWords(parseVtepAddress(outer).mapped), ROW + FRAME_SOURCE);
      return embedded.admits(ROW, bd, outer === RELAY ? relay : 0);
    },
  };
};

describe("6to4", () => {
  // RFC 3056 section 2: 2002:V4ADDR::/48.
  const { to, takes } = setUp(`{ mode: 6to4, local: 203.0.113.1, remote: ${RELAY} }`);
  const OURS = "2002:cb00:7101::1";

  it.each([
    ["2002:c633:6407::1", "198.51.100.7"],
    ["2002:0102:0304:ffff::1", "1.2.3.4"],
    ["2002:dfff:ffff::1", "223.255.255.255"],
    // Section 5.2: whatever has another prefix is for the relay.
    ["2001:db8::1", "relay"],
    ["2003:c633:6407::1", "relay"],
    // Ourselves.
    [OURS, "0"],
    // RFC 3964 section 5.3: none of these is anybody's 6to4 router.
    ["2002:0a00:0001::1", "0"], // 10.0.0.1
    ["2002:ac10:0001::1", "0"], // 172.16.0.1
    ["2002:ac1f:ffff::1", "0"], // 172.31.255.255
    ["2002:c0a8:0001::1", "0"], // 192.168.0.1
    ["2002:a9fe:0001::1", "0"], // 169.254.0.1
    ["2002:7f00:0001::1", "0"], // 127.0.0.1
    ["2002:0000:0000::1", "0"],
    ["2002:0001:0001::1", "0"], // 0.1.0.1
    ["2002:e000:0001::1", "0"], // 224.0.0.1
    ["2002:ffff:ffff::1", "0"],
    // Their neighbours are.
    ["2002:0900:0001::1", "9.0.0.1"],
    ["2002:0b00:0001::1", "11.0.0.1"],
    ["2002:ac0f:ffff::1", "172.15.255.255"],
    ["2002:ac20:0001::1", "172.32.0.1"],
    ["2002:c0a7:0001::1", "192.167.0.1"],
    ["2002:c0a9:0001::1", "192.169.0.1"],
  ])("a packet to %s goes to %s", (destination, expected) => {
    expect(to(destination)).toBe(expected);
  });

  it("multicast goes nowhere: there is no group of all sites", () => {
    expect(to("ff02::1")).toBe("0");
    expect(to("ff0e::1")).toBe("0");
  });

  it.each([
    ["198.51.100.7", "2002:c633:6407::1", OURS, true],
    // RFC 3964 section 5.1: outer and inner source must match.
    ["198.51.100.7", "2002:c633:6408::1", OURS, false],
    ["198.51.100.7", "2001:db8::1", OURS, false],
    ["198.51.100.7", "2002:0a00:0001::1", OURS, false],
    ["10.0.0.1", "2002:0a00:0001::1", OURS, false],
    ["192.168.0.1", "2002:c0a8:0001::1", OURS, false],
    ["127.0.0.1", "2002:7f00:0001::1", OURS, false],
    ["224.0.0.1", "2002:e000:0001::1", OURS, false],
    // The relay speaks for all that are no site, and for no site.
    [RELAY, "2001:db8::1", OURS, true],
    [RELAY, "2002:c633:6407::1", OURS, false],
    [RELAY, "2002:c633:6409::1", OURS, true], // its own
    // Section 5.1 again: not for another site, whom the host would send it on to.
    ["198.51.100.7", "2002:c633:6407::1", "2002:c633:6408::1", false],
    [RELAY, "2001:db8::1", "2002:c633:6408::1", false],
    ["198.51.100.7", "2002:c633:6407::1", "2001:db8::2", true],
  ])("from %s a packet of %s to %s: %s", (outer, source, destination, expected) => {
    expect(takes(outer, source, destination)).toBe(expected);
  });
});

describe("6rd", () => {
  // RFC 5969 section 4: the 32 bits, less those that all have, follow the prefix at any bit.
  it.each([
    ["fd00:6::/32", "", "10.2.3.4", "fd00:6:a02:304::1"],
    ["fd00:6::/32", "10.0.0.0/8", "10.2.3.4", "fd00:6:203:400::1"],
    ["fd00:6::/32", "10.2.0.0/16", "10.2.3.4", "fd00:6:304::1"],
    ["fd00:6::/32", "10.2.3.0/24", "10.2.3.4", "fd00:6:400::1"],
    ["fd00:6::/32", "10.2.3.4/31", "10.2.3.5", "fd00:6:8000::1"],
    ["fd00::/16", "", "10.2.3.4", "fd00:a02:304::1"],
    ["fd00:6000::/20", "", "10.2.3.4", "fd00:60a0:2030:4000::1"],
    ["fd00:6:8000::/33", "10.0.0.0/8", "10.2.3.4", "fd00:6:8101:8200::1"],
    ["fd00:6::/40", "10.0.0.0/8", "10.2.3.4", "fd00:6:2:304::1"],
    ["fd00:6:0:fe00::/56", "10.2.3.0/24", "10.2.3.4", "fd00:6:0:fe04::1"],
    ["fd00:6:0:fffe::/63", "10.2.3.4/31", "10.2.3.5", "fd00:6:0:ffff::1"],
  ])("%s of %s: %s is at %s", (prefix, base, vtep, address) => {
    const relayPrefix = base === "" ? "" : `, relay-prefix: ${base}`;
    const local = vtep === "10.2.3.5" ? "10.2.3.4" : "10.2.3.6";
    const { to, takes } = setUp(`{ mode: 6rd, local: ${local}, remote: ${RELAY}, prefix: "${prefix}"${relayPrefix} }`);
    expect(to(address)).toBe(vtep);
    expect(takes(vtep, address, "2001:db8::1")).toBe(true);
    expect(takes("10.2.3.7", address, "2001:db8::1")).toBe(false);
  });

  it("one wrong bit of the prefix is outside; those behind the address are the site's own", () => {
    const { to } = setUp(
      `{ mode: 6rd, local: 10.2.3.6, remote: ${RELAY}, prefix: "fd00:6:8000::/33", relay-prefix: 10.0.0.0/8 }`,
    );
    expect(to("fd00:6:0101:8200::1")).toBe("relay");
    expect(to("fd00:7:8101:8200::1")).toBe("relay");
    expect(to("7d00:6:8101:8200::1")).toBe("relay");
    expect(to("fd00:6:8101:827f:ffff::")).toBe("10.2.3.4");
    expect(to("fd00:6:8101:8280::1")).toBe("10.2.3.5");
  });

  it("private VTEPs are those of a site; what is no host's address is refused", () => {
    const { to, takes } = setUp(`{ mode: 6rd, local: 192.168.0.6, remote: ${RELAY}, prefix: "fd00:6::/32" }`);
    expect(to("fd00:6:c0a8:1::1")).toBe("192.168.0.1");
    expect(to("fd00:6:a9fe:1::1")).toBe("169.254.0.1");
    expect(["7f00:1", "e000:1", "ffff:ffff", "0:1"].map((part) => to(`fd00:6:${part}::1`))).toEqual([
      "0",
      "0",
      "0",
      "0",
    ]);
    expect(takes("127.0.0.1", "fd00:6:7f00:1::1", "2001:db8::1")).toBe(false);
    expect(takes("192.168.0.1", "fd00:6:c0a8:1::1", "fd00:6:c0a8:6::1")).toBe(true);
    expect(takes("192.168.0.1", "fd00:6:c0a8:1::1", "fd00:6:c0a8:7::1")).toBe(false);
  });
});

describe("isatap", () => {
  const { to, takes } = setUp(`{ mode: isatap, local: 192.168.0.6, potential-routers: [${RELAY}] }`);

  // RFC 5214 section 6.1: 0000:5efe or, of a global address, 0200:5efe, behind any prefix.
  it.each([
    ["fd00:15::5efe:192.168.0.1", "192.168.0.1"],
    ["fe80::5efe:192.168.0.1", "192.168.0.1"],
    ["2001:db8:1:2:200:5efe:198.51.100.7", "198.51.100.7"],
    ["fe80::5efe:192.168.0.6", "0"],
    ["fe80::5efe:127.0.0.1", "0"],
    ["fe80::5efe:224.0.0.1", "0"],
    ["fe80::5efe:255.255.255.255", "0"],
    ["fe80::5efe:0.0.0.0", "0"],
    // No ISATAP identifiers: bits that are not the universal one, or another number.
    ["fe80::100:5efe:192.168.0.1", "relay"],
    ["fe80::5eff:192.168.0.1", "relay"],
    ["fe80::8000:5efe:192.168.0.1", "relay"],
    ["2001:db8::1", "relay"],
    // Router solicitations.
    ["ff02::2", "relay"],
  ])("a packet to %s goes to %s", (destination, expected) => {
    expect(to(destination)).toBe(expected);
  });

  it.each([
    ["192.168.0.1", "fe80::5efe:192.168.0.1", true],
    ["192.168.0.1", "fe80::200:5efe:192.168.0.1", true],
    ["192.168.0.1", "fe80::5efe:192.168.0.2", false],
    ["192.168.0.1", "2001:db8::1", false],
    ["192.168.0.1", "::", false],
    ["127.0.0.1", "fe80::5efe:127.0.0.1", false],
    // RFC 5214 section 7.3: from anywhere by a potential router.
    [RELAY, "2001:db8::1", true],
    [RELAY, "fe80::5efe:192.168.0.2", false],
  ])("from %s a packet of %s: %s", (outer, source, expected) => {
    expect(takes(outer, source, "fe80::5efe:192.168.0.6")).toBe(expected);
  });
});
