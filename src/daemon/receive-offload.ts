/**
 * Receiving in tier `tunnel`, IPv4 only. The kernel merges the frames inside VXLAN (tunnel GRO) when a vxlan device of its
 * own holds the UDP port. So a device that nobody uses is put there for each port, and the data plane takes the packets from
 * packet sockets (native/packet-socket.cc), which see them before UDP does. The device throws away what reaches it: no other
 * tunnel of the kernel's has our VNIs.
 *
 * Held: one device a port, counted by its bindings. While it is there no socket of this namespace can have the port, so
 * all IPv4 bindings on the port receive this way, or none does. A kernel without vxlan has no such offload: then bindings
 * receive through UDP sockets, which always works.
 *
 * The device outlives a daemon that was killed; its alias has the process id, by which the next start knows that it is
 * left over. Packets taken this way have not been through the host's INPUT filter.
 */
import { VtepdError } from "../errors.ts";
import { batchIp, queryIp, runIp } from "../host/iproute.ts";
import { readSysctl, writeSysctl } from "../host/sysctl.ts";

const NAME_PREFIX = "vtepgro";
const ALIAS_PREFIX = "vtepd ";
/** Its frames, should there ever be any, are dropped. */
const UNUSED_VNI = 0xffffff;

interface Held {
  users: number;
  /** "" = the device is there, else why it is not. */
  readonly refusal: string;
}

export class ReceiveOffload {
  private readonly ports = new Map<number, Held>();

  /** Whether a device of ours has the port. */
  holds(port: number): boolean {
    return this.ports.get(port)?.refusal === "";
  }

  /** Returns "" when the port's packets can be taken by packet sockets, else why not. To be given back in either case. */
  async acquire(port: number): Promise<string> {
    let held = this.ports.get(port);
    if (held === undefined) {
      held = { users: 0, refusal: await makeDevice(port) };
      this.ports.set(port, held);
    }
    held.users++;
    return held.refusal;
  }

  async release(port: number): Promise<void> {
    const held = this.ports.get(port);
    if (held === undefined || --held.users > 0) return;
    this.ports.delete(port);
    if (held.refusal === "") await deleteDevice(port);
  }
}

/** Removes what a daemon that was killed has left on the port; false when there is nothing of that kind. */
export const removeLeftover = async (port: number): Promise<boolean> => {
  const rows = await queryIp<{ ifalias?: string }>(["link", "show", "dev", nameFor(port)]).catch(() => []);
  const alias = rows[0]?.ifalias ?? "";
  if (!alias.startsWith(ALIAS_PREFIX) || isAlive(Number(alias.slice(ALIAS_PREFIX.length)))) return false;
  await deleteDevice(port);
  return true;
};

const nameFor = (port: number): string => `${NAME_PREFIX}${port}`;

const makeDevice = async (port: number): Promise<string> => {
  const name = nameFor(port);
  try {
    await runIp(`link add ${name} type vxlan id ${UNUSED_VNI} dstport ${port} nolearning`.split(" "));
  } catch (error) {
    return (error as Error).message;
  }
  try {
    const ipv6 = `ipv6/conf/${name}/disable_ipv6`;
    if (readSysctl(ipv6) !== undefined) writeSysctl(ipv6, 1);
    await batchIp([`link set dev ${name} alias "${ALIAS_PREFIX}${process.pid}"`, `link set dev ${name} up`]);
    return "";
  } catch (error) {
    await deleteDevice(port);
    return (error as Error).message;
  }
};

/** Somebody may have deleted it already. */
const deleteDevice = async (port: number): Promise<void> => {
  await runIp(["link", "delete", "dev", nameFor(port)]).catch((error: unknown) => {
    if (!(error instanceof VtepdError) || !error.message.includes("Cannot find device")) throw error;
  });
};

const isAlive = (pid: number): boolean => {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
};
