/**
 * Which local addresses sockets can have now: asked of the kernel by binding, since an address need not be on any interface
 * (local routes, ip_nonlocal_bind). Each is asked about once.
 */
import { addon } from "../binding/addon.ts";
import { VtepdError } from "../errors.ts";
import { netnsPath } from "../host/netns.ts";
import { attempt } from "./native-error.ts";
import type { LocalAddress } from "./underlay-plan.ts";

export class LocalPresence {
  private readonly answers = new Map<string, VtepdError | undefined>();

  problemOf(locals: readonly LocalAddress[], netns: string | undefined): VtepdError | undefined {
    return locals.map((local) => this.ask(local, netns)).find((problem) => problem !== undefined);
  }

  private ask({ address, scopeId }: LocalAddress, netns: string | undefined): VtepdError | undefined {
    const key = `${netns ?? ""} ${scopeId} ${address.text}`;
    if (!this.answers.has(key)) this.answers.set(key, tryBind({ address, scopeId }, netns));
    return this.answers.get(key);
  }
}

const tryBind = ({ address, scopeId }: LocalAddress, netns: string | undefined): VtepdError | undefined => {
  try {
    const options = { address: address.bytes, port: 0, scopeId, reusePort: false, receiveInfo: false };
    const place = netns === undefined ? {} : { netns: netnsPath(netns) };
    addon.closeFd(attempt(`local address ${address.text}`, () => addon.openUdp({ ...options, ...place })));
    return undefined;
  } catch (error) {
    if (error instanceof VtepdError) return error;
    throw error;
  }
};
