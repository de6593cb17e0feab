/** Names that network interfaces can have: what is looked for, in words, and whether a text is one. */

export const INTERFACE_NAME: string = "an interface name of 1 to 15 bytes without `/`, `:`, `%` or white space";

/**
 * As `dev_valid_name` in the kernel (net/core/dev.c), and no control characters either. `all` and `default` would clash with
 * directories of /proc/sys/net; a `%` makes the kernel take the name for a pattern and choose one by itself.
 */
export const isInterfaceName = (name: string): boolean =>
  Buffer.byteLength(name) >= 1 &&
  Buffer.byteLength(name) <= 15 &&
  ![".", "..", "all", "default"].includes(name) &&
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is control characters that are looked for.
  !/[\s/:%\u0000-\u001f\u007f]/.test(name);
