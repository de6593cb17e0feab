/** What happens in the tunnels, as control tells it. */

/** Something that happened. What is told about frames is bounded; what was too much is counted in `lost`. */
export type EventView =
  /** A MAC was learned behind a remote VTEP. */
  | { readonly event: "learn"; readonly dev: string; readonly mac: string; readonly dst: string }
  /** A learned MAC is behind another remote VTEP now. */
  | { readonly event: "move"; readonly dev: string; readonly mac: string; readonly dst: string; readonly from: string }
  /** A learned MAC was not used for the tunnel's ageing time. */
  | { readonly event: "age"; readonly dev: string; readonly mac: string; readonly dst: string }
  /**
   * An entry that an operator has made, changed or deleted, or that a reload or a host name has: a static one, or a member of the
   * flood list (all zeros). `port` and `vni` where they are not the tunnel's own. Deleted may be a learned one, too.
   */
  | {
      readonly event: "fdb";
      readonly dev: string;
      readonly change: "added" | "changed" | "deleted";
      readonly mac: string;
      readonly dst: string;
      readonly port?: number;
      readonly vni?: number;
      readonly via?: string;
      readonly sticky?: true;
      readonly owner: "config" | "control" | "learned";
    }
  /** A unicast frame from the overlay had no FDB entry; told about once a second for each MAC. */
  | { readonly event: "l2-miss"; readonly dev: string; readonly mac: string }
  /** Somebody asked for an address that no neighbour is known to have. */
  | { readonly event: "l3-miss"; readonly dev: string; readonly address: string }
  /** `added`, `changed` and `deleted` are an operator's. `here`: it was heard on our own side, and is forgotten. */
  | {
      readonly event: "neighbour";
      readonly dev: string;
      readonly change: "learned" | "moved" | "aged" | "here" | "added" | "changed" | "deleted";
      readonly address: string;
      readonly mac?: string;
      readonly router?: true;
    }
  /**
   * A tunnel, its device (`gone`, `back`) or its underlay (`degraded`, `restored`); seen once a second. `changed`: its
   * settings, those in `keys`. `code` and `message` say what is missing.
   */
  | {
      readonly event: "link";
      readonly dev: string;
      readonly change: "made" | "deleted" | "gone" | "back" | "degraded" | "restored" | "changed" | "mtu";
      readonly keys?: readonly string[];
      readonly code?: string;
      readonly message?: string;
      readonly mtu?: number;
    }
  /**
   * A remote VTEP; seen once a second. `heard`: the first frame came from it, at all or after it was `silent` for half a
   * minute. `added`, `removed`: it is one of the tunnel's now, or no longer. `path-mtu`: bytes, 0 = nobody knows.
   */
  | {
      readonly event: "peer";
      readonly dev: string;
      readonly address: string;
      readonly change: "added" | "removed" | "heard" | "silent" | "path-mtu";
      readonly pathMtu?: number;
    }
  /** So many events were not told, because they came faster than anybody can read. */
  | { readonly event: "lost"; readonly count: number };

/** What a listener may ask for: `fdb` has learn, move and age, too, `miss` both misses. */
export const EVENT_GROUPS = ["link", "fdb", "neigh", "peer", "miss"] as const;
export type EventGroup = (typeof EVENT_GROUPS)[number];

const GROUP_OF = {
  learn: "fdb",
  move: "fdb",
  age: "fdb",
  fdb: "fdb",
  "l2-miss": "miss",
  "l3-miss": "miss",
  neighbour: "neigh",
  link: "link",
  peer: "peer",
} as const;

/** Undefined for what every listener is to hear. */
export const groupOf = ({ event }: EventView): EventGroup | undefined =>
  event === "lost" ? undefined : GROUP_OF[event];
