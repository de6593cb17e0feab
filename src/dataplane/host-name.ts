/**
 * Host names, RFC 1123 section 2.1: labels of letters, digits and hyphens between dots. An address is never a name, and
 * neither is what only looks like one: the last label has a letter.
 */

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const HOST_NAME = new RegExp(`^(?:${LABEL}\\.)*(?=[0-9-]*[a-z])${LABEL}$`, "i");
const DOT = ".".charCodeAt(0) | 0x20;
const MAX_LENGTH = 253;

/** Whether there is a letter behind the last dot. Most texts are IPv4 addresses, and an expression takes ten times as long. */
const endsInLetters = (text: string): boolean => {
  for (let at = text.length - 1; at >= 0; at--) {
    const code = text.charCodeAt(at) | 0x20;
    if (code >= 0x61 && code <= 0x7a) return true;
    if (code === DOT) return false;
  }
  return false;
};

export const isHostName = (text: string): boolean =>
  text.length <= MAX_LENGTH && endsInLetters(text) && HOST_NAME.test(text);

/** Lower case, without the dot that closes an absolute name; undefined when the text is no host name. */
export const readHostName = (text: string): string | undefined => {
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  return isHostName(name) ? name.toLowerCase() : undefined;
};
