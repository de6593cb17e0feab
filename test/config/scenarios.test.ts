import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";

const DIRECTORY = fileURLToPath(new URL("../../config/", import.meta.url));
const tunnelsOf = (file: string) => loadConfig(`${DIRECTORY}${file}`).tunnels;

describe("the scenario files", () => {
  it.each(readdirSync(DIRECTORY).filter((file) => file.endsWith(".yaml")))("%s loads", (file) => {
    const { tunnels, hostGateways } = loadConfig(`${DIRECTORY}${file}`);
    expect(tunnels.length + hostGateways.length).toBeGreaterThan(0);
  });

  it("two-vteps-a.yaml and two-vteps-b.yaml are each other's remote", () => {
    const [a] = tunnelsOf("two-vteps-a.yaml");
    const [b] = tunnelsOf("two-vteps-b.yaml");
    expect(a).toMatchObject({ name: "vx42", id: 42, port: 4789, locals: ["192.0.2.1"], addresses: ["10.42.0.1/24"] });
    expect(b).toMatchObject({ name: "vx42", id: 42, port: 4789, locals: ["192.0.2.2"], addresses: ["10.42.0.2/24"] });
    expect([a?.remote, b?.remote]).toEqual([b?.locals[0], a?.locals[0]]);
  });

  it("head-end-replication.yaml has a flood list of three, and static entries behind its members", () => {
    const [tunnel] = tunnelsOf("head-end-replication.yaml");
    expect(tunnel?.flood).toEqual(["192.0.2.2", "192.0.2.3", "192.0.2.4"]);
    expect(tunnel?.fdb).toEqual([
      { mac: "02:00:00:00:00:03", dst: "192.0.2.3" },
      { mac: "02:00:00:00:00:04", dst: "192.0.2.4" },
    ]);
  });

  it("many-vnis.yaml has several VNIs on one port, a second port, and both families", () => {
    const sockets = tunnelsOf("many-vnis.yaml").map(({ id, port, locals }) => `${locals} ${port} ${id}`);
    expect(sockets).toEqual(["192.0.2.1 4789 100", "192.0.2.1 4789 101", "192.0.2.1 8472 100", "2001:db8::1 4789 600"]);
  });
});
