/** An underlay that more than two hosts share: a switch, wire-like, that floods multicast to all. */
import { addressLine, type Host } from "./host.ts";
import type { Lab, WireMode } from "./lab.ts";

export interface Station {
  readonly host: Host;
  /** With prefix lengths. */
  readonly addresses: readonly string[];
}

/** Connects the hosts' `eth0`. Returns the switch, where the port `to-LABEL` leads to each host. */
export const lan = (lab: Lab, stations: readonly Station[], mode: WireMode = "wire-like"): Host => {
  const hub = lab.host("switch");
  hub.script(["ip link add br0 type bridge mcast_snooping 0", "ip link set br0 up"]);
  for (const { host, addresses } of stations) {
    const port = `to-${host.label}`;
    lab.wire(host, "eth0", hub, port, { mode });
    hub.ip("link", "set", port, "master", "br0");
    if (addresses.length > 0) host.script(addresses.map((address) => addressLine("eth0", address)));
  }
  return hub;
};
