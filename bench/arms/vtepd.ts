/** vtepd as a user runs it: a configuration file and the built program. */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Child } from "../../test/support/child.ts";
import { type KeyPair, keyHex, keyLines } from "../../test/support/esp-keys.ts";
import type { Host } from "../../test/support/host.ts";
import { unixHttp } from "../../test/support/unix-http.ts";
import { waitFor } from "../../test/support/wait-for.ts";
import {
  type Arm,
  type End,
  LEFT,
  OVERLAY_DEV,
  type Place,
  RIGHT,
  type SetUp,
  USUAL,
  VNI,
  VXLAN_PORT,
} from "../arm.ts";
import { scratchFolder } from "../scratch.ts";
import type { ArmLabel } from "./label.ts";
import { vtepdControl } from "./vtepd-control.ts";

/** Time from start to the first answer on the control socket. */
const READY_TIMEOUT_MS = 10_000;
/** The most that the daemon's configuration allows, entries. */
const MAX_FDB_ENTRIES = 1_048_576;

export interface RunningVtepd {
  readonly child: Child;
  readonly configFile: string;
  readonly config: string;
  readonly socket: string;
}

export interface VtepdOptions {
  readonly setUp?: SetUp;
  /** Value of `daemon.offload`; undefined = left to the daemon. */
  readonly tier?: string | undefined;
  /** As in an arm's label. */
  readonly mode?: string | undefined;
  readonly place?: Place;
}

/** Of AES-256 with salt, one for each direction. */
const ESP_KEYS: Readonly<Record<string, KeyPair>> = {
  [LEFT.label]: { spi: 0x1001, hex: keyHex(1) },
  [RIGHT.label]: { spi: 0x1002, hex: keyHex(2) },
};

/** The file of what comes to this end and what leaves it. */
const keyFile = ({ label }: End, folder: string): string => {
  const other = label === LEFT.label ? RIGHT.label : LEFT.label;
  const path = join(folder, `${label}.key`);
  writeFileSync(path, keyLines([ESP_KEYS[label]!], ESP_KEYS[other]!), { mode: 0o600 });
  return path;
};

const modeKeys = (mode = "vxlan", end: End, folder: string): object => {
  const [name, encap] = mode.split("-");
  if (name === "vxlan") return { mode: name, id: VNI, port: VXLAN_PORT };
  return {
    mode: name,
    ...(encap === undefined ? {} : { encap: { type: encap } }),
    ...(name === "vti" ? { "key-file": keyFile(end, folder) } : {}),
  };
};

/** Outer IPv4, UDP where there is, ESP's header, trailer and check value. */
const ESP_OVERHEAD_BYTES = { bare: 20 + 16 + 2 + 16, inUdp: 20 + 8 + 16 + 2 + 16 } as const;

/** Of the overlay; ESP leaves less than VXLAN does. */
const mtuOf = ({ overlayMtu, underlayMtu }: SetUp, mode = "vxlan"): number => {
  const [name, encap] = mode.split("-");
  if (name !== "vti") return overlayMtu;
  return Math.min(overlayMtu, underlayMtu - ESP_OVERHEAD_BYTES[encap === undefined ? "bare" : "inUdp"]);
};

const socketOf = ({ label }: End, folder: string): string => join(folder, `${label}.sock`);

/** The configuration of one end: what the README calls the two-VTEP scenario. */
const configOf = (end: End, folder: string, { setUp = USUAL, tier, mode }: VtepdOptions): string =>
  stringify({
    version: 1,
    daemon: {
      control: { socket: socketOf(end, folder) },
      workers: 1,
      log: { level: "warn" },
      ...(tier === undefined ? {} : { offload: tier }),
      ...(setUp.fdbRoom === 0 ? {} : { "fdb-capacity": MAX_FDB_ENTRIES }),
    },
    tunnels: {
      [OVERLAY_DEV]: {
        ...modeKeys(mode, end, folder),
        local: end.local,
        ...(setUp.floodList.length === 0 ? { remote: end.remote } : { flood: setUp.floodList }),
        mtu: mtuOf(setUp, mode),
        ...(setUp.fdbRoom === 0 ? {} : { limit: setUp.fdbRoom }),
        addresses: [end.overlay],
      },
    },
  });

/** Starts `node PROGRAM --config FILE` on the host; returns when the control socket answers. */
export const startVtepd = async (
  host: Host,
  end: End,
  program: string,
  options: VtepdOptions = {},
): Promise<RunningVtepd> => {
  const { setUp = USUAL, place = (command) => command as [string] } = options;
  const folder = scratchFolder();
  const socket = socketOf(end, folder);
  const configFile = join(folder, `${end.label}.yaml`);
  const config = configOf(end, folder, options);
  writeFileSync(configFile, config);
  const node = [process.execPath, ...(setUp.traceGc ? ["--trace-gc"] : [])];
  const [command, ...args] = place([...node, program, "--config", configFile]);
  const child = host.spawn(command, args);
  await waitFor(async () => !child.running || (await unixHttp({ socket, path: "/healthz" })).status === 200, {
    timeoutMs: READY_TIMEOUT_MS,
    what: () => `vtepd on ${host.label} to answer GET /healthz; it said:\n${child.stderr}${child.stdout}`,
  });
  if (!child.running) throw new Error(`vtepd on ${host.label} ended at once:\n${child.stderr}${child.stdout}`);
  return { child, configFile, config, socket };
};

/** Lines of --trace-gc, of all threads: "[pid:0x...] 123 ms: Scavenge ... 4.1 (5.0) -> 3.9 (6.0) MB, 0.52 / 0.00 ms ...". */
const GC_LINE = /ms: \S[^\n]*? MB, (?:pooled: [^\n]*? MB, )?([\d.]+) \/ [\d.]+ +ms/g;

export const gcPausesMs = (output: string): number[] => [...output.matchAll(GC_LINE)].map(([, ms]) => Number(ms));

/** A forced tier that this build does not know is no arm; --check says so without touching anything. */
const refusal = (program: string, tier: string | undefined): string | undefined => {
  if (!existsSync(program)) return `${program} is missing: npm run build`;
  if (tier === undefined) return undefined;
  const folder = scratchFolder();
  const file = join(folder, "tier.yaml");
  writeFileSync(file, configOf(LEFT, folder, { tier }));
  const check = spawnSync(process.execPath, [program, "--check", "--config", file], { encoding: "utf8" });
  if (check.status === 0) return undefined;
  const said = check.stderr.trim().split("\n").at(-1);
  return `this vtepd does not know daemon.offload: ${tier} (${said})`;
};

/** `checkout`: the folder whose dist/ is run, so that two versions can be compared. */
export const vtepdArm = ({ text, mode, tier }: ArmLabel, checkout: string): Arm => {
  const program = join(checkout, "dist", "vtepd.js");
  return {
    label: text,
    role: tier === undefined && mode === undefined ? "core" : "tier",
    speaksVxlan: mode === undefined,
    refusal: () => refusal(program, tier),
    start: async (host, end, { place, setUp }) => {
      const { child, socket } = await startVtepd(host, end, program, { place, setUp, tier, mode });
      return {
        pids: [child.pid],
        control: vtepdControl(socket, end),
        gcPausesMs: () => gcPausesMs(child.stdout),
      };
    },
  };
};
