import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { TunnelConfig } from "../../src/config/config.ts";
import { parseConfig } from "../../src/config/load.ts";
import { Names } from "../../src/daemon/names.ts";
import { VtepdError } from "../../src/errors.ts";
import type { Family, NameAnswer } from "../../src/host/name-resolver.ts";
import { captureLog } from "../support/log-capture.ts";

const NAME = "vtep.example";

/** Answers what the test says, and remembers when it was asked, in seconds. */
class AnsweringResolver {
  readonly asked: { readonly name: string; readonly families: string; readonly atS: number }[] = [];
  answer: NameAnswer | undefined = { addresses: ["192.0.2.2"], ttlS: 30 };
  private readonly startMs = Date.now();

  async resolve(name: string, families: readonly Family[]): Promise<NameAnswer> {
    this.asked.push({ name, families: families.join(), atS: (Date.now() - this.startMs) / 1000 });
    if (this.answer === undefined) throw new VtepdError("ERR_HOST_NAME", `no address of ${name}`);
    return this.answer;
  }

  stop(): void {}
}

const tunnel = (keys: string): TunnelConfig =>
  parseConfig(`version: 1\ntunnels: { vx1: { mode: vxlan, id: 1, ${keys} } }`, "vtepd.yaml").tunnels[0]!;

let resolver: AnsweringResolver;
let names: Names;
let lines: ReturnType<typeof captureLog>["lines"];

beforeEach(() => {
  vi.useFakeTimers();
  resolver = new AnsweringResolver();
  const { log, lines: captured } = captureLog();
  lines = captured;
  names = new Names(resolver, log);
});
afterEach(() => {
  names.stop();
  vi.useRealTimers();
});

const LOCAL = "local: 192.0.2.1";
const warnings = (): number => lines.filter(({ level }) => (level as number) >= 40).length;
const pass = (seconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(seconds * 1000);

describe("a host name", () => {
  it.each([
    [30, [0, 30, 60, 90]],
    [0, [0, 5, 10, 15]],
    [86_400, [0, 3600]],
  ])("with a TTL of %i s is asked for again when that is over, within limits", async (ttlS, times) => {
    resolver.answer = { addresses: ["192.0.2.2"], ttlS };
    names.of(tunnel(LOCAL), () => {}).hold(NAME);
    await pass(times.at(-1)!);
    expect(resolver.asked.map(({ atS }) => atS)).toEqual(times);
    expect(lines).toHaveLength(1);
  });

  it("that fails is asked for at growing intervals, with one warning, and keeps its addresses", async () => {
    const seen: string[] = [];
    const mine = names.of(tunnel(LOCAL), (name) => seen.push(name));
    mine.hold(NAME);
    await pass(0);
    expect(mine.addresses(NAME)).toEqual(["192.0.2.2"]);
    resolver.answer = undefined;
    await pass(1300);
    expect(resolver.asked.map(({ atS }) => atS)).toEqual([0, 30, 35, 45, 65, 105, 185, 345, 645, 945, 1245]);
    expect([mine.addresses(NAME), seen, warnings()]).toEqual([["192.0.2.2"], [NAME], 1]);
    resolver.answer = { addresses: ["192.0.2.3"], ttlS: 30 };
    await pass(300);
    expect([mine.addresses(NAME), seen, warnings()]).toEqual([["192.0.2.3"], [NAME, NAME], 1]);
  });

  it("is asked for once for all tunnels with the same families, as long as anybody holds it", async () => {
    const holders = [LOCAL, "local: 192.0.2.7", 'local: [192.0.2.1, "2001:db8::1"]', "remote: 192.0.2.9"].map((keys) =>
      names.of(tunnel(keys), () => {}),
    );
    for (const holder of holders) {
      holder.hold(NAME);
      holder.hold(NAME);
      holder.hold("192.0.2.3");
    }
    expect(resolver.asked.map(({ families }) => families)).toEqual(["4", "4,6"]);
    for (const holder of holders) holder.release(NAME);
    await pass(30);
    expect(resolver.asked).toHaveLength(4);
    for (const holder of holders) holder.release(NAME);
    await pass(100);
    expect(resolver.asked).toHaveLength(4);
    expect(holders.flatMap((holder) => holder.list())).toEqual([]);
  });

  it("tells nobody who has let go of it meanwhile", async () => {
    const seen: string[] = [];
    const mine = names.of(tunnel(LOCAL), (name) => seen.push(name));
    mine.hold(NAME);
    mine.release(NAME);
    await pass(100);
    expect([seen, resolver.asked.length]).toEqual([[], 1]);
  });

  it("is waited for at a start, but not for ever", async () => {
    resolver.resolve = () => new Promise(() => {});
    let isReady = false;
    void names.prepare([tunnel(`${LOCAL}, remote: ${NAME}`)]).then(() => {
      isReady = true;
    });
    await pass(2.9);
    expect(isReady).toBe(false);
    await pass(0.2);
    expect(isReady).toBe(true);
  });
});
