/**
 * Two hosts with vtepd and ESP between them: ping, MTU, TCP by hash, keys replaced under way, packets that were sent before or by
 * somebody else, and key files that are refused.
 *
 *   left 10.42.0.1, fd00:42::1 -- ov0 -- eth0 192.0.2.1, 2001:db8::1 ===== eth0 -- ov0 -- right ...2
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { KeyFolder, type KeyPair, keyHex, keyLines } from "../support/esp-keys.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { requests } from "../support/requests.ts";
import { SteadyPing } from "../support/steady-ping.ts";
import { transfer } from "../support/transfer.ts";

const BYTES = 2_000_000;
/** By the end that opens them, old and new. */
const TO_LEFT: KeyPair = { spi: 0x1001, hex: keyHex(1) };
const TO_RIGHT: KeyPair = { spi: 0x1002, hex: keyHex(2, 16) };
const NEW_TO_LEFT: KeyPair = { spi: 0x2001, hex: keyHex(3) };
const NEW_TO_RIGHT: KeyPair = { spi: 0x2002, hex: keyHex(4) };

let lab: Lab;
let left: Host;
let right: Host;
let keys: KeyFolder;
const daemons: RunningDaemon[] = [];

beforeEach(() => {
  keys = new KeyFolder();
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { mode: "wire-like", addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  left.address("eth0", "2001:db8::1/64");
  right.address("eth0", "2001:db8::2/64");
});
afterEach(async () => {
  await Promise.all(daemons.splice(0).map((daemon) => daemon.stop()));
  await lab.close();
  keys.delete();
});

const tunnel = (n: number, { mode = "vti", keyFile = keys.write(`${n}`, ""), more = "" }): string => {
  const address = (end: number): string => (mode === "vti" ? `192.0.2.${end}` : `"2001:db8::${end}"`);
  const ends = `local: ${address(n)}, remote: ${address(3 - n)}, addresses: [10.42.0.${n}/24, "fd00:42::${n}/64"]`;
  return `{ ov0: { mode: ${mode}, ${ends}, key-file: ${keyFile}${more} } }`;
};

const start = async (mode = "vti", more = "", workers = 2): Promise<[RunningDaemon, RunningDaemon]> => {
  const files = [
    keys.write("left", keyLines([TO_LEFT], TO_RIGHT)),
    keys.write("right", `# old\n${keyLines([TO_RIGHT], TO_LEFT)}  # and a word\n\n`),
  ];
  const one = RunningDaemon.start(left, tunnel(1, { mode, keyFile: files[0]!, more }), { workers });
  const two = RunningDaemon.start(right, tunnel(2, { mode, keyFile: files[1]!, more }), { workers });
  daemons.push(await one, await two);
  return [await one, await two];
};

const ping = (address: string, ...words: string[]): string =>
  left.exec("ping", [...requests(3), ...words, address]).stdout;

const expectNoDrops = (): void => {
  for (const daemon of daemons) expect([daemon.drops("decap"), daemon.drops("socket")]).toEqual([{}, {}]);
};

describe("between two vtepds", () => {
  it.each([
    ["vti", "", 1446],
    ["vti6", "", 1426],
    ["vti", ", extended-sequence: true, replay-window: 64", 1446],
    ["vti", ", encap: { type: espinudp }", 1438],
  ])("%s%s: ping, MTU, TCP", async (mode, more, mtu) => {
    await start(mode, more);
    expect(left.ip("-o", "link", "show", "ov0")).toContain(` mtu ${mtu} `);
    for (const [address, header] of [
      ["10.42.0.2", 28],
      ["fd00:42::2", 48],
    ] as const) {
      expect(ping(address)).toContain(" 0% packet loss");
      expect(ping(address, "-M", "do", "-s", String(mtu - header))).toContain(" 0% packet loss");
      const { sent, received } = await transfer(left, right, address, BYTES);
      expect(received).toBe(sent);
    }
    expectNoDrops();
  });
});

describe("new keys", () => {
  it("replace the old ones in three steps and lose nothing", async () => {
    const [one, two] = await start("vti", "", 1);
    const flood = await SteadyPing.start(left, "10.42.0.2", "0.005");
    const rekey = (toLeft: [KeyPair[], KeyPair], toRight: [KeyPair[], KeyPair]): void => {
      keys.write("left", keyLines(toLeft[0], toRight[1]));
      keys.write("right", keyLines(toRight[0], toLeft[1]));
      for (const daemon of [one, two]) expect(daemon.vtepctl("link", "rekey", "ov0")).toMatchObject({ status: 0 });
    };
    rekey([[TO_LEFT, NEW_TO_LEFT], TO_LEFT], [[TO_RIGHT, NEW_TO_RIGHT], TO_RIGHT]);
    rekey([[TO_LEFT, NEW_TO_LEFT], NEW_TO_LEFT], [[TO_RIGHT, NEW_TO_RIGHT], NEW_TO_RIGHT]);
    rekey([[NEW_TO_LEFT], NEW_TO_LEFT], [[NEW_TO_RIGHT], NEW_TO_RIGHT]);
    expect(await flood.unanswered()).toEqual([]);
    expect(ping("10.42.0.2")).toContain(" 0% packet loss");
    expectNoDrops();
  });

  it("are refused whole when one of them is", async () => {
    const [one] = await start();
    const refusals: [string, string][] = [
      [keyLines([{ ...TO_LEFT, hex: keyHex(9) }], TO_RIGHT), "line 1: expected another SPI for another key"],
      [keyLines([NEW_TO_LEFT, TO_LEFT], { spi: 999, hex: TO_LEFT.hex }), "line 3: expected another key than line 2"],
      [keyLines([NEW_TO_LEFT, NEW_TO_LEFT], TO_RIGHT), "line 2: expected another SPI than line 1"],
      [keyLines([NEW_TO_LEFT], { spi: 255, hex: keyHex(5) }), "line 2: expected an SPI from 256"],
      [keyLines([NEW_TO_LEFT], { spi: 300, hex: keyHex(5).slice(2) }), "line 2: expected a key of 40 or 72 hex digits"],
      [`in ${NEW_TO_LEFT.hex} 300`, "line 1: expected an SPI"],
      [`in 300 ${NEW_TO_LEFT.hex.replace("0", "g")}`, "line 1: expected a key"],
      ["in 300", "line 1: expected `in` or `out`, an SPI and a key"],
      [`in 300 ${NEW_TO_LEFT.hex}`, "expected one line `out`, got 0"],
    ];
    for (const [text, message] of refusals) {
      keys.write("left", text);
      const { status, stderr } = one.vtepctl("link", "rekey", "ov0");
      expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
      for (const secret of text.match(/[0-9a-f]{40,}/g) ?? []) expect(stderr).not.toContain(secret.slice(0, 16));
    }
    expect(ping("10.42.0.2")).toContain(" 0% packet loss");
    expectNoDrops();
  });
});

describe("a key file", () => {
  const failure = async (keyFile: string): Promise<string> => {
    const daemon = RunningDaemon.launch(left, tunnel(1, { keyFile }));
    const { code } = await daemon.child.exited;
    expect(code).toBe(2);
    return daemon.child.stdout + daemon.child.stderr;
  };

  it("is refused where others may read it, is another's, or is not there", async () => {
    const good = keyLines([TO_LEFT], TO_RIGHT);
    expect(await failure(keys.write("open", good, 0o640))).toContain("expected mode 0600 or stricter, got 0640");
    const others = keys.write("others", good);
    left.run("chown", ["4711", others]);
    expect(await failure(others)).toContain("expected a file of root's");
    expect(await failure(`${others}-not`)).toContain("open failed with ENOENT");
    expect(await failure("/dev/null")).toContain("expected a file");
  });

  it("shows nowhere else", async () => {
    const [one] = await start();
    expect(ping("10.42.0.2")).toContain(" 0% packet loss");
    const told = [
      one.vtepctl("-d", "-s", "link", "show").stdout,
      one.vtepctl("-j", "-d", "link", "show").stdout,
      one.vtepctl("-j", "stats", "show").stdout,
      one.vtepctl("-j", "status", "show").stdout,
      one.child.stdout,
      one.child.stderr,
    ].join("\n");
    for (const { hex } of [TO_LEFT, TO_RIGHT]) {
      expect(told).not.toContain(hex.slice(0, 12));
      expect(told).not.toContain(Buffer.from(hex, "hex").toString("base64").slice(0, 12));
    }
  });
});
