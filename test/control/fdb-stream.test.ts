import { createConnection } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { fdbStream } from "../../src/control/fdb-stream.ts";
import type { FdbEntryView } from "../../src/dataplane/view.ts";
import { type ControlFixture, controlFixture, twoTunnels } from "../support/control-fixture.ts";
import { FakeVtep } from "../support/fake-vtep.ts";
import { unixHttp } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

const MILLION = 1_000_000;

/** A service whose FDB is a million entries that exist only while they are looked at. */
class LargeVtep extends FakeVtep {
  made = 0;
  returned = false;
  failAt = Number.POSITIVE_INFINITY;

  override *fdb(dev = "vx42"): Iterable<FdbEntryView> {
    try {
      for (let index = 0; index < MILLION; index++) {
        if (index === this.failAt) throw new Error("table changed its shape");
        this.made++;
        const mac = `02:00:00:${[index >> 16, (index >> 8) & 255, index & 255].map((octet) => octet.toString(16).padStart(2, "0")).join(":")}`;
        yield { dev, mac, dst: "192.0.2.2", origin: "learned", owner: "learned", usedS: 0, updatedS: 0 };
      }
    } finally {
      this.returned = true;
    }
  }
}

let control: ControlFixture | undefined;

afterEach(async () => {
  await control?.close();
  control = undefined;
});

describe("an FDB dump", () => {
  it("of a million entries is whole, and the event loop keeps turning meanwhile", async () => {
    const service = new LargeVtep();
    control = await controlFixture(service);
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const answer = await unixHttp({
      socket: control.socket,
      path: "/v1/fdb",
      headers: { accept: "application/x-ndjson" },
    });
    clearInterval(timer);
    const lines = answer.text.split("\n");
    expect(lines.pop()).toBe("");
    expect(lines).toHaveLength(MILLION);
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ mac: "02:00:00:0f:42:3f", ifname: "vx42" });
    expect(turns).toBeGreaterThan(20);
  });

  it("makes no more entries than the client takes, and lets go of the table when it leaves", async () => {
    const service = new LargeVtep();
    control = await controlFixture(service);
    const client = createConnection(control.socket);
    client.write("GET /v1/fdb HTTP/1.1\r\nHost: vtepd\r\n\r\n");
    await waitFor(() => service.made > 0, { what: "the first entries" });
    // The client reads nothing: socket buffers and a chunk or two fill, then the dump must stand still.
    client.pause();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const made = service.made;
    expect(made).toBeLessThan(MILLION / 10);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(service.made).toBe(made);
    expect(service.returned).toBe(false);
    client.destroy();
    await waitFor(() => service.returned, { what: "the dump to end" });
    expect(service.made).toBeLessThan(MILLION / 10);
  });

  it("that fails half-way breaks the connection instead of looking complete", async () => {
    const service = new LargeVtep();
    service.failAt = 100_000;
    control = await controlFixture(service);
    await expect(unixHttp({ socket: control.socket, path: "/v1/fdb" })).rejects.toThrow();
    expect((await unixHttp({ socket: control.socket, path: "/healthz" })).status).toBe(200);
  });

  it("is one valid JSON array whatever the number of entries", async () => {
    const entries = [...twoTunnels().fdb()];
    for (const count of [0, 1, 2, 511, 512, 513, 1024, 1025]) {
      const many = Array.from({ length: count }, (_, index) => entries[index % entries.length]!);
      const text = await new Response(fdbStream(many, { format: "json", withDevice: true })).text();
      expect(JSON.parse(text)).toHaveLength(count);
    }
  });
});
