/**
 * Host names, RFC 1123 section 2.1: labels of letters, digits and hyphens between dots. An address is never a name, and
 * neither is what only looks like one: the last label has a letter.
 */

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const HOST_NAME = new RegExp(`^(?:${LABEL}\\.)*(?=[0-9-]*[a-z])${LABEL}$`, "i");
const MAX_LENGTH = 253;

export const isHostName = (text: string): boolean => text.length <= MAX_LENGTH && HOST_NAME.test(text);

/** Lower case, without the dot that closes an absolute name; undefined when the text is no host name. */
export const readHostName = (text: string): string | undefined => {
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  return isHostName(name) ? name.toLowerCase() : undefined;
};
