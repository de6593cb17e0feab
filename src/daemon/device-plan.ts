/**
 * How much of the kernel's memory a tunnel's device gets, which depends on how many tunnels share the host. Ten pay for speed without
 * asking; thousands must fit first: 4094 devices of four queues and 4096 frames would be 1.5 GiB, as planned here they are 0.3.
 */
export interface DevicePlan {
  /** Of a device whose configuration says nothing about it. */
  readonly queues: number;
  /** Frames that each queue holds while its worker is busy. */
  readonly txQueueFrames: number;
  readonly isUp: boolean;
}

/** Each costs a descriptor and its ring; a device with more than one also has rows for 256 of them in the kernel, 200 KiB. */
const QUEUES_IN_ALL = 1024;
/** The kernel's 1000 loses bursts of small frames. A frame's place is 8 bytes, in use or not. */
const LONG_QUEUE_FRAMES = 4096;
const KERNEL_QUEUE_FRAMES = 1000;

export const planDevices = (tunnels: number, workers: number, isUp: boolean): DevicePlan => ({
  isUp,
  queues: Math.max(1, Math.min(workers, Math.trunc(QUEUES_IN_ALL / Math.max(1, tunnels)))),
  txQueueFrames: tunnels <= QUEUES_IN_ALL ? LONG_QUEUE_FRAMES : KERNEL_QUEUE_FRAMES,
});
