/** What a tunnel wants of its device, and what is left of a device when its tunnel has let go of it. */

export interface DeviceSpec {
  readonly name: string;
  /** Of Ethernet frames, or of IP packets. */
  readonly kind: "tap" | "tun";
  /** As it is made. */
  readonly mtu: number;
  readonly macAddress: string | undefined;
  readonly netns: string | undefined;
  /** At most one per worker. */
  readonly queues: number;
  /** Frames that each holds while its worker is busy. */
  readonly txQueueFrames: number;
  /** Whether it is up from the start. */
  readonly isUp: boolean;
  /** Id under which the workers know it. */
  readonly port: number;
}

/** A device of before, in other hands now: its interface stays as it is, with all that others have set on it. */
export interface HeldDevice {
  readonly spec: DeviceSpec;
  readonly fds: number[];
  readonly macAddress: Uint8Array;
  readonly givenMtu: number;
}
