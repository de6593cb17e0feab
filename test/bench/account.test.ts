import { describe, expect, it } from "vitest";
import { parseSnmp, unexpectedDrops } from "../../bench/account.ts";

describe("account", () => {
  it("reads /proc/net/snmp: a line of names, a line of values", () => {
    const counters = parseSnmp("Udp: InDatagrams RcvbufErrors\nUdp: 7 3\nUdpLite: RcvbufErrors\nUdpLite: 9\n");
    expect(Object.fromEntries(counters)).toEqual({
      "Udp.InDatagrams": 7,
      "Udp.RcvbufErrors": 3,
      "UdpLite.RcvbufErrors": 9,
    });
  });

  const account = {
    stolenS: 0,
    counters: { "left.tcp.RetransSegs": 5, "right.ov0.tx_dropped": 1, "right.udp.InCsumErrors": 2 },
  };

  it("is surprised by every drop, but not by what TCP sends again", () => {
    expect(unexpectedDrops(account, false)).toEqual(["right.ov0.tx_dropped", "right.udp.InCsumErrors"]);
  });

  it("under overload is surprised by corruption only", () => {
    expect(unexpectedDrops(account, true)).toEqual(["right.udp.InCsumErrors"]);
  });
});
