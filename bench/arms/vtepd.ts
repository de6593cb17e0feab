/** vtepd as a user runs it: a configuration file and the built program. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Child } from "../../test/support/child.ts";
import type { Host } from "../../test/support/host.ts";
import { waitFor } from "../../test/support/wait-for.ts";
import { type Arm, type End, OVERLAY_DEV, OVERLAY_MTU, VNI, VXLAN_PORT } from "../arm.ts";

/** Time from start to the first answer on the control socket. */
const READY_TIMEOUT_MS = 10_000;

/** Configuration files and sockets of this run; removed at its end. */
const folders: string[] = [];
process.on("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** One request to a control socket; the status of the answer. */
const getStatus = (socketPath: string, path: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const call = request({ socketPath, path, timeout: 1000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    call.on("timeout", () => call.destroy(new Error("no answer")));
    call.on("error", reject);
    call.end();
  });

export interface RunningVtepd {
  readonly child: Child;
  readonly configFile: string;
  readonly config: string;
  readonly socket: string;
}

/** The configuration of one end: what the README calls the two-VTEP scenario. */
export const vtepdConfig = (end: End, socket: string, workers = 1): string =>
  stringify({
    version: 1,
    daemon: { control: { socket }, workers, log: { level: "warn" } },
    tunnels: {
      [OVERLAY_DEV]: {
        mode: "vxlan",
        id: VNI,
        local: end.local,
        remote: end.remote,
        port: VXLAN_PORT,
        mtu: OVERLAY_MTU,
        addresses: [end.overlay],
      },
    },
  });

/** Starts `node PROGRAM --config FILE` on the host; returns when the control socket answers. */
export const startVtepd = async (
  host: Host,
  end: End,
  program: string,
  place: (command: readonly string[]) => readonly [string, ...string[]] = (command) => command as [string],
): Promise<RunningVtepd> => {
  const folder = mkdtempSync(join(tmpdir(), "vtepd-bench-"));
  folders.push(folder);
  const socket = join(folder, `${end.label}.sock`);
  const configFile = join(folder, `${end.label}.yaml`);
  const config = vtepdConfig(end, socket);
  writeFileSync(configFile, config);
  const [command, ...args] = place([process.execPath, program, "--config", configFile]);
  const child = host.spawn(command, args);
  await waitFor(async () => !child.running || (await getStatus(socket, "/healthz")) === 200, {
    timeoutMs: READY_TIMEOUT_MS,
    what: () => `vtepd on ${host.label} to answer GET /healthz; it said:\n${child.stderr}${child.stdout}`,
  });
  if (!child.running) throw new Error(`vtepd on ${host.label} ended at once:\n${child.stderr}${child.stdout}`);
  return { child, configFile, config, socket };
};

/** `checkout`: the folder whose dist/ is run, so that two versions can be compared. */
export const vtepdArm = (label: string, checkout: string): Arm => {
  const program = join(checkout, "dist", "vtepd.js");
  return {
    label,
    refusal: () => (existsSync(program) ? undefined : `${program} is missing: npm run build`),
    start: async (host, end, { place }) => {
      const { child } = await startVtepd(host, end, program, place);
      return { pids: [child.pid] };
    },
  };
};
