/**
 * An uplink: a TAP in the daemon's network namespace that the data plane writes whole VXLAN, GRE, IPIP or SIT packets to,
 * addressed to the device itself, so that the host's stack forwards them to the underlay. The kernel cuts superframes on the
 * way out (UDP tunnel segmentation, Linux 6.17), or hands them to a network card that can; what is not in UDP needs a BPF
 * program on the device for that (native/tunnel-program.cc). Tier `tunnel`, IPv4 only.
 *
 * What forwarding needs is set on this device alone and goes away with it: `forwarding` (of packets that come in here; the
 * host as a whole need not be a router), `accept_local` (their source is an address of this host), no `rp_filter`. What
 * would need a change of the host is checked and refused: a host-wide rp_filter (the larger of the two values counts), a
 * packet filter that drops forwarded packets.
 *
 * Nothing is ever read from it: it has no address, no IPv6 and no routes, so the kernel has nothing to send there.
 */
import { randomBytes } from "node:crypto";
import { PORT_UPLINK } from "../binding/abi.ts";
import { addon } from "../binding/addon.ts";
import type { PortChange } from "../dataplane/worker.ts";
import { VtepdError } from "../errors.ts";
import { chainThatDrops } from "../host/forward-filter.ts";
import { batchIp } from "../host/iproute.ts";
import { readSysctl, writeSysctl } from "../host/sysctl.ts";
import { toLocalMac } from "../wire/mac.ts";
import { attempt } from "./native-error.ts";
import type { Supervisor } from "./supervisor.ts";

const NAME_PREFIX = "vtepup";
/** Names that are tried, since other daemons in this namespace may have uplinks too. */
const MAX_UPLINKS = 256;
const HOST_RP_FILTER = "ipv4/conf/all/rp_filter";

export class Uplink {
  /** Id under which the workers know it. */
  readonly port: number;
  /** Chosen once: remote VTEPs' ready-made headers are addressed to it. */
  readonly macAddress: Uint8Array = toLocalMac(new Uint8Array(randomBytes(6)));
  private readonly supervisor: Supervisor;
  private readonly hasProgram: boolean;
  private program: number | undefined;
  private fds: number[] = [];
  private deviceName = "";

  /** @param hasProgram for what is not in UDP */
  constructor(port: number, supervisor: Supervisor, hasProgram: boolean) {
    this.port = port;
    this.supervisor = supervisor;
    this.hasProgram = hasProgram;
  }

  /** Empty before the first `open`. */
  get name(): string {
    return this.deviceName;
  }

  /** Makes the device, ready to forward. @throws ERR_TUNNEL_OFFLOAD, ERR_NO_TUN, ERR_PERMISSION, ERR_HOST_COMMAND, ERR_SYSCALL */
  async open(): Promise<void> {
    const hostFilter = readSysctl(HOST_RP_FILTER);
    if (hostFilter !== "0") {
      const message = `offload tier tunnel: expected net.ipv4.conf.all.rp_filter=0, got ${hostFilter}: the kernel would drop what comes from the uplink; \`sysctl net.ipv4.conf.all.rp_filter=0\` and set it for each other interface instead`;
      throw new VtepdError("ERR_TUNNEL_OFFLOAD", message);
    }
    this.make();
    try {
      await this.prepare();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Lets the workers write to it. */
  async attach(): Promise<void> {
    const changes = this.fds.map((fd): PortChange[] => [
      { verb: "add", port: this.port, fd, kind: PORT_UPLINK, header: 0, features: 0 },
    ]);
    await this.supervisor.changePorts(changes);
  }

  async detach(): Promise<void> {
    await this.supervisor.changePorts(this.fds.map(() => [{ verb: "remove", port: this.port }]));
  }

  /** Makes the device again after somebody deleted it. @throws as `open` */
  async reopen(): Promise<void> {
    await this.detach();
    this.close();
    await this.open();
    await this.attach();
  }

  /** Removes the device, if it is still there. Workers must have let go of it. */
  close(): void {
    if (this.program !== undefined) addon.closeFd(this.program);
    this.program = undefined;
    for (const fd of this.fds.splice(0)) addon.closeFd(fd);
  }

  private make(): void {
    for (let n = 0; ; n++) {
      const name = `${NAME_PREFIX}${n}`;
      try {
        this.fds = attempt(`uplink ${name}`, () =>
          addon.openTap({
            name,
            kind: "tap",
            queues: this.supervisor.count,
            vnetHeader: true,
            offload: "tunnel",
            macAddress: this.macAddress,
            up: false,
          }),
        ).fds;
        this.deviceName = name;
        return;
      } catch (error) {
        const isTaken = error instanceof VtepdError && error.code === "ERR_DEVICE_EXISTS";
        if (!isTaken || n + 1 === MAX_UPLINKS) throw error;
      }
    }
  }

  private async prepare(): Promise<void> {
    const { name } = this;
    if (this.hasProgram) {
      this.program = attempt(`uplink ${name}`, () => addon.attachTunnelProgram({ device: name }));
    }
    const chain = await chainThatDrops(name);
    if (chain !== undefined) {
      const message = `offload tier tunnel: the packet filter's chain ${chain} drops what ${name} would forward; \`nft insert rule ${chain} iifname "${NAME_PREFIX}*" accept\` lets it through`;
      throw new VtepdError("ERR_TUNNEL_OFFLOAD", message);
    }
    writeSysctl(`ipv4/conf/${name}/forwarding`, 1);
    writeSysctl(`ipv4/conf/${name}/accept_local`, 1);
    writeSysctl(`ipv4/conf/${name}/rp_filter`, 0);
    const ipv6 = `ipv6/conf/${name}/disable_ipv6`;
    if (readSysctl(ipv6) !== undefined) writeSysctl(ipv6, 1);
    await batchIp([`link set dev ${name} up`]);
  }
}
