/** The keys of `daemon`, and what becomes of them: the part of schema.ts that is not about tunnels. */
import type { z } from "zod";
import { listenAddress, nameServer } from "./address.ts";
import { type DaemonConfig, LOG_LEVELS, OFFLOAD_TIERS, OFFLOADS } from "./config.ts";
import { key, listOf, section } from "./map.ts";
import { autoOrInteger, flag, groupName, integer, oneOf, socketMode, socketPath, stateDirectory } from "./value.ts";

export const MAX_FDB_ENTRIES = 1_048_576;

const keys = section({
  control: key(
    section({
      socket: key(socketPath().default("/run/vtepd/control.sock"), "Unix socket of the control API."),
      group: key(groupName().optional(), "Group that owns the socket. Without it, the daemon's own.", {
        examples: ["vtepd"],
      }),
      mode: key(
        socketMode().default("0660"),
        "Who may connect, and so change everything: `0600` the daemon's user, `0660` the group too, `0666` everybody.",
        { examples: ["0660"] },
      ),
    }),
    "How `vtepctl` and other programs reach the daemon.",
  ),
  metrics: key(
    section({
      listen: key(
        listenAddress().optional(),
        "TCP address that serves Prometheus metrics. Without it, they are on the control socket only.",
        { examples: ["127.0.0.1:19784"] },
      ),
    }),
    "Prometheus metrics.",
  ),
  log: key(
    section({ level: key(oneOf(LOG_LEVELS).default("info"), "What is logged: this level and louder ones.") }),
    "The daemon's log.",
  ),
  "state-directory": key(
    stateDirectory().default("/var/lib/vtepd"),
    "Where tunnels and entries made over the control socket are kept over restarts, and learned entries. `none` keeps nothing. " +
      "`STATE_DIRECTORY` in the environment, which systemd sets, wins over the default.",
  ),
  "keep-devices": key(
    flag().default(false),
    "Whether devices in the daemon's own network namespace stay when it ends, without carrier, and are used again at its next start. A service manager with a descriptor store needs no such thing.",
  ),
  resolver: key(
    listOf(nameServer()).default([]),
    "Name servers that are asked for the remote VTEPs that have host names. Without it, the host's own, and /etc/hosts.",
    { examples: [["192.0.2.53"]] },
  ),
  workers: key(autoOrInteger(1, 64).default("auto"), "Data-plane threads.", { unit: "threads" }),
  cpus: key(
    listOf(integer(0, 1023)).default([]),
    "CPUs that workers are bound to, one each, in turn. Without it, the kernel moves them.",
    { examples: [[2, 3]] },
  ),
  "busy-poll": key(
    integer(0, 10_000).default(0),
    "How long a worker goes on asking for frames before it sleeps. Costs a CPU, saves wake-ups.",
    { unit: "microseconds" },
  ),
  offload: key(
    oneOf(["auto", ...OFFLOAD_TIERS]).default("auto"),
    "How frames go through the kernel: `socket` many at a time (UDP_SEGMENT, UDP_GRO, TSO), `mmsg` one by one in batches, " +
      "`plain` without a vnet header too. `auto` is the best of these that works. `tunnel` (experimental, Linux 6.17) lets the " +
      "host forward what a TAP named vtepup0 sends, on IPv4 underlays. `VTEPD_OFFLOAD` in the environment wins.",
  ),
  "offload-disable": key(listOf(oneOf(OFFLOADS)).default([]), "Single offloads not to use, whatever the tier.", {
    examples: [["udp-gro"]],
  }),
  "fdb-capacity": key(integer(1, MAX_FDB_ENTRIES).default(262_144), "Room in the FDB, for all tunnels together.", {
    unit: "entries",
  }),
});

const daemonConfig = (given: z.output<typeof keys>): DaemonConfig => ({
  control: { ...given.control, mode: Number.parseInt(given.control.mode, 8) },
  metrics: given.metrics,
  log: given.log,
  workers: given.workers === "auto" ? undefined : given.workers,
  cpus: given.cpus,
  busyPollUs: given["busy-poll"],
  offload: { tier: given.offload === "auto" ? undefined : given.offload, disabled: given["offload-disable"] },
  fdbCapacity: given["fdb-capacity"],
  stateDirectory: given["state-directory"] === "none" ? undefined : given["state-directory"],
  keepDevices: given["keep-devices"],
  resolver: given.resolver,
});

export const daemonSchema: z.ZodType<DaemonConfig> = keys.transform(daemonConfig);
