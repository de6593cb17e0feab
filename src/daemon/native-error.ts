/** What the addon's set-up calls throw, said as a VtepdError with what was attempted. */
import type { NativeError } from "../binding/addon.ts";
import { type ErrorCode, VtepdError } from "../errors.ts";

const codeOf = ({ code, syscall }: NativeError): ErrorCode => {
  if (code === "EMFILE" || code === "ENFILE") return "ERR_OPEN_FILES";
  if (syscall.startsWith("open(/dev/net/tun)")) return "ERR_NO_TUN";
  if (code === "EPERM" || code === "EACCES") return "ERR_PERMISSION";
  if (syscall.startsWith("ioctl(TUNSETIFF)") && code === "EBUSY") return "ERR_DEVICE_EXISTS";
  if (syscall.startsWith("netlink(RTM_NEWLINK)") && code === "EEXIST") return "ERR_DEVICE_EXISTS";
  if (syscall.startsWith("open(") && code === "ENOENT") return "ERR_NETNS_NOT_FOUND";
  if (syscall.startsWith("bind") && code === "EADDRINUSE") return "ERR_ADDRESS_IN_USE";
  if (syscall.startsWith("bind") && code === "EADDRNOTAVAIL") return "ERR_ADDRESS_NOT_LOCAL";
  if (syscall.includes("SO_BINDTODEVICE") && code === "ENODEV") return "ERR_INTERFACE_NOT_FOUND";
  if (code === "EBADFD") return "ERR_DEVICE_GONE";
  return "ERR_SYSCALL";
};

const HINTS: Partial<Record<ErrorCode, string>> = {
  ERR_NO_TUN: "; the tun module is missing, or a container was started without --device /dev/net/tun",
  ERR_PERMISSION: "; vtepd needs CAP_NET_ADMIN, and CAP_SYS_ADMIN for other network namespaces",
  ERR_OPEN_FILES:
    "; each queue of a device takes one: raise the limit (`ulimit -n`, LimitNOFILE= of a systemd unit) or set fewer `queues`",
  ERR_ADDRESS_NOT_LOCAL: "; no interface there has this address",
  ERR_ADDRESS_IN_USE: "; another program, or a vxlan device of the kernel, has the port",
  ERR_DEVICE_EXISTS: "; `ip link del` it, or choose another name",
};

/** @param what what was being made, e.g. `TAP vx42` */
export const explainNative = (error: unknown, what: string): VtepdError => {
  if (error instanceof VtepdError) return error;
  const native = error as NativeError;
  if (typeof native.syscall !== "string") throw error;
  const code = codeOf(native);
  return new VtepdError(code, `${what}: ${native.syscall} failed with ${native.code}${HINTS[code] ?? ""}`, {
    cause: error,
  });
};

/** Runs a set-up call of the addon; what it throws comes out as a VtepdError. */
export const attempt = <T>(what: string, call: () => T): T => {
  try {
    return call();
  } catch (error) {
    throw explainNative(error, what);
  }
};
