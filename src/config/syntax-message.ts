/** What to tell a person about text that is not YAML. The pitfalls of network configuration get words of their own. */

/** An address such as `2001:db8::`, alone or as the start of more: YAML takes its last colon for the end of a key. */
const ENDS_IN_COLONS = /^([0-9a-f:.]*::)(?=[\s,\]}]|$)/i;

/** `[::1]:9000`: YAML takes the brackets for a list and stops at what follows. */
const AFTER_BRACKET = /^:\d+\s*$/;

/** How the parser, which recurses, tells that it ran out of stack. */
const DEEP_NESTING = "Maximum call stack size exceeded";
export const TOO_DEEP = "lists or maps nested too deep";

/** The advice for an address that YAML read as a key, e.g. `2001:db8::`. */
export const quoteAdvice = (address: string): string => `an address that ends in \`::\` must be quoted: "${address}"`;

/**
 * @param code the parser's code of the error
 * @param message the parser's own words
 * @param line the rest of the line from where the error is
 */
export const syntaxMessage = (code: string, message: string, line: string): string => {
  const address = ENDS_IN_COLONS.exec(line)?.[1];
  if (code === "BLOCK_AS_IMPLICIT_KEY") {
    return address === undefined
      ? `expected one value, got \`${line.trim()}\`, which YAML reads as a key and its value on one line: quote it`
      : `expected a value, got \`${address}\`, which YAML reads as a key: ${quoteAdvice(address)}`;
  }
  if (code === "TAB_AS_INDENT") {
    return "expected spaces as indentation, got a tab";
  }
  if (code === "MULTIPLE_DOCS") {
    return "expected one YAML document, got a second one";
  }
  if (code === "UNEXPECTED_TOKEN" && AFTER_BRACKET.test(line)) {
    return `expected the end of the value, got \`${line.trim()}\`: an address in brackets must be quoted: "[::1]:9000"`;
  }
  if (code === "TAG_RESOLVE_FAILED") {
    return `expected a value without a tag, got \`${line.split(/\s/, 1)[0]}\``;
  }
  if (message === DEEP_NESTING) {
    return `expected readable YAML, got ${TOO_DEEP}`;
  }
  return `expected YAML, got an error of its parser: ${message}`;
};
