import { afterEach, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { Lab } from "../support/lab.ts";
import { transfer } from "../support/transfer.ts";
let lab: Lab;
afterEach(() => lab.close());
it("x", async () => {
  lab = Lab.create();
  const [left, right] = [lab.host("left"), lab.host("right")];
  lab.wire(left, "eth0", right, "eth0", { mode: "virtual", addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  const daemon = await RunningDaemon.start(left, `{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24] } }`, { daemon: "offload: plain" });
  right.ip("link", "add", "vxlan0", "type", "vxlan", "id", "42", "dstport", "4789", "local", "192.0.2.2", "remote", "192.0.2.1", "dev", "eth0");
  right.address("vxlan0", "10.42.0.2/24");
  console.log(left.exec("ping", ["-c", "3", "-i", "0.1", "-W", "1", "10.42.0.2"]).stdout);
  console.log(JSON.stringify(daemon.json("status"), null, 1));
  for (const [from, to, a] of [[left, right, "10.42.0.2"], [right, left, "10.42.0.1"]] as const) {
    try { console.log(a, JSON.stringify(await transfer(from, to, a, 1_000_000, 4000))); } catch (e) { console.log(a, String(e).slice(0, 200)); }
    console.log(JSON.stringify(daemon.stats()));
    console.log(left.run("nstat", ["-as"]).split("\n").filter((l) => /Csum|InErrs|Tcp(In|Out|Retrans)|Delay/.test(l)).join("\n"));
    await left.stopChildren === undefined;
  }
  console.log(left.run("ip", ["-s", "link", "show", "ov0"]));
}, 60000);
