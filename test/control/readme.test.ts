import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { makeApi } from "../../src/control/api.ts";
import { FakeChanges } from "../support/fake-changes.ts";
import { FakeDesired } from "../support/fake-desired.ts";
import { FakeVtep } from "../support/fake-vtep.ts";
import { captureLog } from "../support/log-capture.ts";

describe("src/control/README.md", () => {
  it("lists exactly the routes that exist", () => {
    const service = new FakeVtep();
    const desired = new FakeDesired(service);
    const api = makeApi({
      service,
      desired,
      changes: new FakeChanges(service, desired),
      metrics: async () => "",
      log: captureLog().log,
    });
    const routes = api.routes
      .filter(({ method }) => method !== "ALL")
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
    const text = readFileSync("src/control/README.md", "utf8");
    const documented = [...text.matchAll(/`((?:GET|POST|PUT|PATCH|DELETE) \/[^`]*)`/g)].map(([, route]) => route);
    expect([...new Set(documented)].sort()).toEqual([...new Set(routes)].sort());
  });
});
