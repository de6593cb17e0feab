/** What would happen to a frame, as control tells it. */

export interface TraceRequest {
  /** An Ethernet frame, or an IP packet where the tunnel carries those. */
  readonly frame: Uint8Array;
  /** The remote VTEP that it comes from; undefined = it comes from the device. */
  readonly from?: string | undefined;
}

export interface TraceStep {
  /** e.g. `parse`, `fdb`, `police`, `send`, `outcome`. */
  readonly step: string;
  readonly text: string;
}

export interface TraceCopy {
  /** Remote VTEP, and how it is reached; null = to the device. */
  readonly to: string | null;
  readonly port: number | null;
  readonly from: string | null;
  /** 0 = the kernel or the uplink chooses. */
  readonly sourcePort: number | null;
  readonly protocol: number | null;
  readonly ttl: number | "default" | null;
  readonly tos: number | null;
  readonly df: boolean | null;
  /** Hexadecimal: what stands in front of the frame, and the frame as it leaves. */
  readonly header: string;
  readonly frame: string;
}

export interface TraceView {
  readonly dev: string;
  /** `out` = from the device to the underlay. */
  readonly direction: "out" | "in";
  readonly outcome: "sent" | "flooded" | "delivered" | "answered" | "dropped";
  /** Name of the drop reason; null = nothing was dropped. */
  readonly reason: string | null;
  readonly steps: readonly TraceStep[];
  readonly copies: readonly TraceCopy[];
}
