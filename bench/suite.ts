/** Which workloads and arms a run has unless it is told. */
import type { Arm, Role } from "./arm.ts";
import type { Breadth, Workload } from "./workload.ts";
import { badWire } from "./workloads/bad-wire.ts";
import { fdbSize } from "./workloads/fdb-size.ts";
import { fdbUpdates } from "./workloads/fdb-updates.ts";
import { floodList } from "./workloads/flood-list.ts";
import { imix } from "./workloads/imix.ts";
import { learningStorm } from "./workloads/learning-storm.ts";
import { loadedRequestResponse, requestResponse } from "./workloads/request-response.ts";
import { tcpBothWays, tcpJumbo, tcpStream, tcpStreams } from "./workloads/tcp-stream.ts";
import { udpGso } from "./workloads/udp-gso.ts";
import { udpLossfree } from "./workloads/udp-lossfree.ts";
import { receiveSaturation, udpSaturation } from "./workloads/udp-saturation.ts";

export const QUICK: readonly Workload[] = [tcpStream, udpSaturation(64, "tiers"), receiveSaturation(64, "tiers")];

export const SYSTEM: readonly Workload[] = [
  tcpStream,
  tcpStreams,
  tcpBothWays,
  tcpJumbo,
  udpSaturation(64, "tiers"),
  udpSaturation(256, "core"),
  udpSaturation(1400, "core"),
  receiveSaturation(64, "tiers"),
  receiveSaturation(1400, "core"),
  udpLossfree(64),
  udpLossfree(256),
  udpLossfree(1400),
  udpGso("on"),
  udpGso("off"),
  requestResponse("tcp"),
  requestResponse("udp"),
  loadedRequestResponse("tcp"),
  loadedRequestResponse("udp"),
  imix,
  fdbSize(1000),
  fdbSize(64_000),
  fdbSize(1_000_000),
  learningStorm,
  floodList(2),
  floodList(8),
  floodList(64),
  fdbUpdates,
  badWire,
];

export const QUICK_ARMS = "vtepd,floor,kernel";
export const SYSTEM_ARMS = "vtepd,vtepd:mmsg,vtepd:plain,floor,floor:mmsg,kernel,ovs,tinc";

const ROLES: Readonly<Record<Breadth, readonly Role[]>> = {
  core: ["core"],
  context: ["core", "context"],
  tiers: ["core", "context", "tier"],
};

/** The arms that run a workload when nobody chose them. */
export const armsFor = ({ breadth }: Workload, arms: readonly Arm[]): Arm[] =>
  arms.filter(({ role }) => ROLES[breadth].includes(role));

/** By number ("W4") or by a piece of the name ("frame=64"); an empty text means all. */
export const chosen = (workloads: readonly Workload[], texts: readonly string[]): Workload[] =>
  workloads.filter(({ id, name }) =>
    texts.some((text) => text === id || (!/^W\d+$/.test(text) && name.includes(text))),
  );
