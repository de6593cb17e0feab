/** What a refused send means for the frame: the kernel's errno as a drop reason. */
import { constants } from "node:os";
import { DEV_READY, FULL_RING, IP_OUTNOROUTES, PKT_TOO_BIG, TX_ERROR } from "../drop-reason.ts";

/** Linux's EBADFD, "file descriptor in bad state": the TAP's device is gone. Node's table lacks it. */
const EBADFD = 77;
const { EAGAIN, EHOSTUNREACH, EIO, EMSGSIZE, ENETDOWN, ENETUNREACH, ENOBUFS, ENODEV } = constants.errno;

export const dropReasonOfErrno = (errno: number): number => {
  switch (errno) {
    case EAGAIN:
    case ENOBUFS:
      return FULL_RING;
    case EMSGSIZE:
      return PKT_TOO_BIG;
    case ENETUNREACH:
    case EHOSTUNREACH:
      return IP_OUTNOROUTES;
    case EIO: // a write to a TAP that is not up
    case ENETDOWN:
    case ENODEV:
    case EBADFD:
      return DEV_READY;
    default:
      return TX_ERROR;
  }
};
