import { describe, expect, it } from "vitest";
import { FEATURE_MERGE_TCP, FEATURE_MERGE_UDP, FEATURE_SEGMENT, FEATURE_VNET_HEADER } from "../../src/binding/abi.ts";
import type { TapProbe, UdpProbe } from "../../src/binding/addon.ts";
import { OFFLOADS, type OffloadName, type OffloadTier } from "../../src/config/config.ts";
import { chooseOffload, type Offload } from "../../src/daemon/offload.ts";

const UDP: UdpProbe = { segment: "", merge: "" };
const TAP: TapProbe = { vnetHeader: "", checksum: "", tso: "", uso: "", writeTcp: "", writeUdp: "", tunnel: "" };
const NONE = { tier: undefined, disabled: [] } as const;

const choose = (
  { tier, disabled = [] }: { tier?: OffloadTier; disabled?: readonly OffloadName[] } = {},
  udp: Partial<UdpProbe> = {},
  tap: Partial<TapProbe> = {},
  program = "",
): Offload => chooseOffload({ tier, disabled }, { ...UDP, ...udp }, { ...TAP, ...tap }, program);

/** Reason by name of what is not in use. */
const refusals = ({ capabilities }: Offload): Record<string, string> =>
  Object.fromEntries(capabilities.filter(({ inUse }) => !inUse).map(({ name, reason }) => [name, reason]));

/** Every set of offloads. */
const SUBSETS = Array.from({ length: 1 << OFFLOADS.length }, (_, bits) => OFFLOADS.filter((_, i) => (bits >> i) & 1));

describe("where everything works", () => {
  it("all is used, tier socket", () => {
    expect(chooseOffload(NONE, UDP, TAP, "")).toEqual({
      tier: "socket",
      capabilities: OFFLOADS.map((name) => ({ name, inUse: true, reason: "" })),
      tap: { vnetHeader: true, offload: "uso" },
      cutsIpTunnels: false,
      mergeDatagrams: true,
      tapFeatures: FEATURE_VNET_HEADER,
      rxFeatures: FEATURE_MERGE_TCP | FEATURE_MERGE_UDP,
      txFeatures: FEATURE_SEGMENT,
    });
  });

  it("tier mmsg uses the vnet header alone", () => {
    const offload = choose({ tier: "mmsg" });
    expect(offload).toMatchObject({
      tier: "mmsg",
      tap: { vnetHeader: true, offload: "none" },
      mergeDatagrams: false,
      tapFeatures: FEATURE_VNET_HEADER,
      rxFeatures: 0,
      txFeatures: 0,
    });
    expect(Object.keys(refusals(offload))).toEqual(OFFLOADS.filter((name) => name !== "vnet-header"));
    expect(new Set(Object.values(refusals(offload)))).toEqual(new Set(["tier mmsg was asked for"]));
  });

  it("tier plain uses nothing", () => {
    const offload = choose({ tier: "plain" });
    expect(offload).toMatchObject({
      tier: "plain",
      tap: { vnetHeader: false, offload: "none" },
      mergeDatagrams: false,
      tapFeatures: 0,
      rxFeatures: 0,
      txFeatures: 0,
    });
    expect(refusals(offload)).toEqual(Object.fromEntries(OFFLOADS.map((name) => [name, "tier plain was asked for"])));
  });

  it("the best tier can be asked for by name", () => {
    expect(choose({ tier: "socket" })).toEqual(choose());
  });
});

describe("one offload less", () => {
  const rows: [OffloadName, without: Partial<Offload>, more: Record<string, string>][] = [
    [
      "vnet-header",
      { tap: { vnetHeader: false, offload: "none" }, tapFeatures: 0, rxFeatures: 0, tier: "plain" },
      Object.fromEntries(["tap-tso", "tap-uso", "merge-tcp", "merge-udp"].map((name) => [name, "needs vnet-header"])),
    ],
    ["udp-segment", { txFeatures: 0 }, {}],
    ["udp-gro", { mergeDatagrams: false }, {}],
    ["tap-tso", { tap: { vnetHeader: true, offload: "none" } }, { "tap-uso": "needs tap-tso" }],
    ["tap-uso", { tap: { vnetHeader: true, offload: "tso" } }, {}],
    ["merge-tcp", { rxFeatures: 0 }, { "merge-udp": "needs merge-tcp" }],
    ["merge-udp", { rxFeatures: FEATURE_MERGE_TCP }, {}],
  ];
  const probes: Record<OffloadName, [Partial<UdpProbe>, Partial<TapProbe>]> = {
    "vnet-header": [{}, { vnetHeader: "no" }],
    "udp-segment": [{ segment: "no" }, {}],
    "udp-gro": [{ merge: "no" }, {}],
    "tap-tso": [{}, { tso: "no" }],
    "tap-uso": [{}, { uso: "no" }],
    "merge-tcp": [{}, { writeTcp: "no" }],
    "merge-udp": [{}, { writeUdp: "no" }],
  };

  it.each(rows)("%s switched off", (name, without, more) => {
    const offload = choose({ disabled: [name] });
    expect(offload).toEqual({ ...choose(), capabilities: offload.capabilities, ...without });
    expect(refusals(offload)).toEqual({ [name]: "switched off", ...more });
  });

  it.each(rows)("%s refused by the kernel", (name, without, more) => {
    const offload = choose({}, ...probes[name]);
    expect(offload).toEqual({ ...choose(), capabilities: offload.capabilities, ...without });
    expect(refusals(offload)).toEqual({ [name]: "no", ...more });
  });
});

describe("a reason", () => {
  it("is the tier before the switch before the kernel", () => {
    const refused = { segment: "EIO" };
    const asked = { tier: "mmsg", disabled: ["udp-segment"] } as const;
    expect(refusals(choose(asked, refused))["udp-segment"]).toBe("tier mmsg was asked for");
    expect(refusals(choose({ disabled: ["udp-segment"] }, refused))["udp-segment"]).toBe("switched off");
    expect(refusals(choose({ tier: "socket" }, refused))["udp-segment"]).toBe("EIO");
  });

  it("is that of a host without TAPs, for everything on them", () => {
    const why = "open(/dev/net/tun): ENOENT";
    const none = { vnetHeader: why, checksum: why, tso: why, uso: why, writeTcp: why, writeUdp: why };
    expect(refusals(choose({}, {}, none))).toEqual(
      Object.fromEntries(OFFLOADS.filter((name) => !name.startsWith("udp-")).map((name) => [name, why])),
    );
  });
});

describe("every combination of switches and tiers", () => {
  const all = SUBSETS.flatMap((disabled) =>
    ([undefined, "socket", "mmsg", "plain"] as const).map((tier) => choose({ ...(tier && { tier }), disabled })),
  );

  it("says in use exactly what the ports are told", () => {
    expect(all).toHaveLength(512);
    for (const offload of all) {
      const uses = (name: OffloadName): boolean => offload.capabilities.find((one) => one.name === name)!.inUse;
      expect([
        uses("vnet-header"),
        uses("udp-segment"),
        uses("udp-gro"),
        uses("tap-tso"),
        uses("tap-uso"),
        uses("merge-tcp"),
        uses("merge-udp"),
      ]).toEqual([
        offload.tap.vnetHeader && offload.tapFeatures === FEATURE_VNET_HEADER,
        offload.txFeatures === FEATURE_SEGMENT,
        offload.mergeDatagrams,
        offload.tap.offload !== "none",
        offload.tap.offload === "uso",
        (offload.rxFeatures & FEATURE_MERGE_TCP) !== 0,
        (offload.rxFeatures & FEATURE_MERGE_UDP) !== 0,
      ]);
    }
  });

  it("never asks for what the vnet header would have to say without one", () => {
    for (const { tap, tapFeatures, rxFeatures } of all.filter((offload) => !offload.tap.vnetHeader)) {
      expect([tap.offload, tapFeatures, rxFeatures]).toEqual(["none", 0, 0]);
    }
  });

  it("says why not, whenever something is not in use", () => {
    for (const { capabilities } of all) for (const { inUse, reason } of capabilities) expect(reason === "").toBe(inUse);
  });
});

describe("tier tunnel", () => {
  it("is never chosen unasked", () => {
    expect(chooseOffload(NONE, UDP, TAP, "").tier).toBe("socket");
  });

  it("is tier socket with another way out", () => {
    const { tier, capabilities, ...rest } = choose({ tier: "tunnel" });
    const { tier: _tier, capabilities: others, ...socket } = choose();
    expect(tier).toBe("tunnel");
    const offloads = ["tunnel-gso", "ip-tunnel-gso"].map((name) => ({ name, inUse: true, reason: "" }));
    expect(capabilities).toEqual([...offloads, ...others]);
    expect(rest).toEqual({ ...socket, cutsIpTunnels: true });
  });

  it("is for UDP tunnels alone where a program is not allowed", () => {
    const { tier, cutsIpTunnels, capabilities } = choose({ tier: "tunnel" }, {}, {}, "bpf(BPF_PROG_LOAD): EPERM");
    expect([tier, cutsIpTunnels]).toEqual(["tunnel", false]);
    expect(capabilities[1]).toEqual({ name: "ip-tunnel-gso", inUse: false, reason: "bpf(BPF_PROG_LOAD): EPERM" });
  });

  it("is refused, not replaced, where the kernel cannot", () => {
    expect(() => choose({ tier: "tunnel" }, {}, { tunnel: "TUNSETOFFLOAD: EINVAL" })).toThrow(
      expect.objectContaining({
        code: "ERR_TUNNEL_OFFLOAD",
        message: expect.stringContaining("TUNSETOFFLOAD: EINVAL"),
      }),
    );
  });
});
