import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import * as catalogue from "../../src/metrics/catalogue.ts";
import { renderMetrics } from "../../src/metrics/data-plane.ts";
import { MAX_REMOTES_PER_LINK, OTHER_REMOTES } from "../../src/metrics/remote-series.ts";
import { scrape } from "../../src/metrics/scrape.ts";
import { twoTunnels } from "../support/control-fixture.ts";
import { type ParsedFamily, parseExposition } from "../support/exposition-parser.ts";
import { FakeVtep, fakeLink } from "../support/fake-vtep.ts";

const families = (service: FakeVtep = twoTunnels()): Map<string, ParsedFamily> =>
  parseExposition(renderMetrics(service));

/** `labels -> value` of one family. */
const samples = (name: string, service?: FakeVtep): Record<string, number> =>
  Object.fromEntries(
    families(service)
      .get(name)!
      .samples.map(({ labels, value }) => [Object.values(labels).join(" "), value]),
  );

describe("data-plane metrics", () => {
  it("are the catalogue's, each once, with its type, help and labels", () => {
    const parsed = families();
    expect([...parsed.keys()].sort()).toEqual(
      Object.values(catalogue)
        .map(({ name }) => name)
        .sort(),
    );
    for (const metric of Object.values(catalogue)) {
      const family = parsed.get(metric.name)!;
      expect(family.type).toBe(metric.type);
      expect(family.help).toBe(metric.help);
      expect(family.samples.length).toBeGreaterThan(0);
      for (const sample of family.samples) expect(Object.keys(sample.labels)).toEqual(metric.labels);
    }
  });

  it("follow Prometheus's naming: counters end in _total, gauges do not, all have the prefix", () => {
    for (const { name, type } of Object.values(catalogue)) {
      expect(name).toMatch(/^vtepd_[a-z_]+$/);
      expect(name.endsWith("_total")).toBe(type === "counter");
    }
  });

  it("tell versions and what each tunnel is", () => {
    expect(samples("vtepd_build_info")).toEqual({ "0.1.0-test v20.20.2": 1 });
    expect(samples("vtepd_link_info")).toEqual({
      "vx42 vxlan 42 192.0.2.1 4789": 1,
      "vx43 vxlan 43 2001:db8::1 4790": 1,
    });
  });

  it("count traffic by tunnel as seen from the overlay device", () => {
    expect(samples("vtepd_link_receive_packets_total")).toEqual({ vx42: 7, vx43: 0 });
    expect(samples("vtepd_link_receive_bytes_total")).toEqual({ vx42: 700, vx43: 0 });
    expect(samples("vtepd_link_transmit_packets_total")).toEqual({ vx42: 9, vx43: 0 });
    expect(samples("vtepd_link_transmit_bytes_total")).toEqual({ vx42: 900, vx43: 0 });
    expect(samples("vtepd_flood_packets_total")).toEqual({ vx42: 2, vx43: 0 });
  });

  it("name every drop's reason and direction", () => {
    expect(samples("vtepd_link_drops_total")).toEqual({
      "vx42 encap ip_outnoroutes": 2,
      "vx42 encap tx_error": 3,
      "vx42 encap no_tx_target": 4,
      "vx42 decap hdr_trunc": 5,
      "vx42 decap unknown_vtep": 6,
    });
    expect(samples("vtepd_socket_drops_total")).toEqual({ "192.0.2.1:4789 vxlan_vni_not_found": 8 });
  });

  it("tell the FDB's state and what happened to it", () => {
    expect(samples("vtepd_fdb_entries")).toEqual({
      "vx42 learned": 1,
      "vx42 static": 2,
      "vx43 learned": 0,
      "vx43 static": 1,
    });
    // vx43 has no limit: 0 would read as a full table.
    expect(samples("vtepd_fdb_limit")).toEqual({ vx42: 65536 });
    expect(samples("vtepd_fdb_capacity")).toEqual({ "": 131072 });
    expect(samples("vtepd_fdb_learns_total")).toEqual({ vx42: 3, vx43: 0 });
    expect(samples("vtepd_fdb_moves_total")).toEqual({ vx42: 1, vx43: 0 });
  });

  it("count a worker's work", () => {
    expect(samples("vtepd_worker_wakeups_total")).toEqual({ "0": 10 });
    expect(samples("vtepd_worker_receive_overflow_total")).toEqual({ "0": 4 });
    expect(samples("vtepd_offload_info")).toEqual({ socket: 1 });
    expect(samples("vtepd_capability")).toEqual({ "udp-segment ": 1, "tap-uso TUNSETOFFLOAD: EINVAL": 0 });
    expect(samples("vtepd_worker_batches_total")).toEqual({ "0": 20 });
    expect(samples("vtepd_worker_frames_total")).toEqual({ "0": 300 });
  });

  it("read the values at the scrape", () => {
    const service = twoTunnels();
    expect(samples("vtepd_link_up", service)).toEqual({ vx42: 1, vx43: 1 });
    service.addLink({ ...service.link("vx42"), state: "gone" }, { rxFrames: 8 });
    expect(samples("vtepd_link_up", service)).toEqual({ vx42: 0, vx43: 1 });
    expect(samples("vtepd_link_receive_packets_total", service)["vx42"]).toBe(8);
    const underlayProblem = { code: "ERR_NO_ROUTE", message: "no route" };
    service.addLink({ ...service.link("vx42"), underlayProblem }, {});
    expect(samples("vtepd_link_underlay_up", service)).toEqual({ vx42: 0, vx43: 1 });
  });

  it("never carry a MAC", () => {
    expect(renderMetrics(twoTunnels())).not.toMatch(/[0-9a-f]{2}(:[0-9a-f]{2}){5}/i);
  });

  it("are valid without any tunnel", () => {
    const parsed = families(new FakeVtep());
    expect(parsed.size).toBe(Object.keys(catalogue).length);
    expect(parsed.get("vtepd_link_up")!.samples).toEqual([]);
  });
});

describe("metrics of remote VTEPs", () => {
  const remote = (address: string, port: number, frames: number) => ({
    address,
    port,
    vni: 42,
    fdbLearned: frames,
    pathMtu: port === 4789 ? 1500 : 1400,
    rxFrames: frames,
    rxBytes: frames * 100,
    txFrames: frames * 2,
    txBytes: frames * 200,
  });

  it("are one series per address, whatever its ports", () => {
    const service = new FakeVtep();
    const remotes = [remote("192.0.2.2", 4789, 1), remote("2001:db8::2", 4789, 10), remote("192.0.2.2", 8472, 4)];
    service.addLink(fakeLink("vx42"), { remotes });
    expect(samples("vtepd_remote_receive_packets_total", service)).toEqual({
      "vx42 192.0.2.2": 5,
      "vx42 2001:db8::2": 10,
    });
    expect(samples("vtepd_remote_receive_bytes_total", service)["vx42 192.0.2.2"]).toBe(500);
    expect(samples("vtepd_remote_path_mtu_bytes", service)["vx42 192.0.2.2"]).toBe(1400);
    expect(samples("vtepd_remote_fdb_entries", service)["vx42 192.0.2.2"]).toBe(5);
    expect(samples("vtepd_remote_transmit_packets_total", service)["vx42 192.0.2.2"]).toBe(10);
    expect(samples("vtepd_remote_transmit_bytes_total", service)["vx42 192.0.2.2"]).toBe(1000);
  });

  it("are bounded: what comes after the limit is summed up", () => {
    const service = new FakeVtep();
    const remotes = Array.from({ length: MAX_REMOTES_PER_LINK + 3 }, (_, index) =>
      remote(`10.0.${index >> 8}.${index & 255}`, 4789, 1),
    );
    service.addLink(fakeLink("vx42"), { remotes });
    const series = samples("vtepd_remote_receive_packets_total", service);
    expect(Object.keys(series)).toHaveLength(MAX_REMOTES_PER_LINK + 1);
    expect(series[`vx42 ${OTHER_REMOTES}`]).toBe(3);
  });
});

describe("a scrape", () => {
  it("has the process's families too, and parses whole", async () => {
    const parsed = parseExposition(await scrape(twoTunnels()));
    expect(parsed.get("process_resident_memory_bytes")!.samples[0]!.value).toBeGreaterThan(1e6);
    expect(parsed.has("nodejs_eventloop_lag_seconds")).toBe(true);
    expect(parsed.has("vtepd_build_info")).toBe(true);
  });

  it("can be made again and again", async () => {
    await scrape(twoTunnels());
    expect(parseExposition(await scrape(twoTunnels())).size).toBeGreaterThan(Object.keys(catalogue).length);
  });

  it("passes `promtool check metrics`", async () => {
    const { status, stdout, stderr, error } = spawnSync("promtool", ["check", "metrics"], {
      input: await scrape(twoTunnels()),
      encoding: "utf8",
    });
    if (error !== undefined)
      throw new Error("this test needs promtool, of the Debian package prometheus", { cause: error });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  it("would not pass `promtool check metrics` with a badly named counter", () => {
    const bad = renderMetrics(twoTunnels()).replaceAll("vtepd_flood_packets_total", "vtepd_flood_packets");
    expect(spawnSync("promtool", ["check", "metrics"], { input: bad }).status).toBe(3);
  });
});
