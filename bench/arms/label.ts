/** An arm's name on the command line: KIND[+MODE][:TIER][@DIR][#N]. */

export interface ArmLabel {
  readonly text: string;
  readonly kind: string;
  /** Of the tunnel; undefined = vxlan. A mode in UDP is `gretap-fou` or the like. */
  readonly mode: string | undefined;
  /** A forced tier; undefined = the best one there is. */
  readonly tier: string | undefined;
  /** Another checkout. */
  readonly folder: string | undefined;
}

const FORM = /^(?<kind>[a-z0-9]+)(?:\+(?<mode>[a-z0-9-]+))?(?::(?<tier>[a-z0-9]+))?(?:@(?<folder>[^#]+))?(?:#\d+)?$/;

/** @throws Error when the text has another form */
export const parseArmLabel = (text: string): ArmLabel => {
  const { kind, mode, tier, folder } = FORM.exec(text)?.groups ?? {};
  if (kind === undefined) throw new Error(`--arms: expected KIND[+MODE][:TIER][@DIR][#N], got "${text}"`);
  return { text, kind, mode, tier, folder };
};

/** Arms that others are measured against: the yardsticks, and another checkout. */
export const isBase = (text: string): boolean => {
  const { kind, folder } = parseArmLabel(text);
  return !text.includes("#") && (kind === "floor" || kind === "kernel" || folder !== undefined);
};

/** The floor that an arm is measured against: the one of its mode and tier. What is in UDP is measured against VXLAN's. */
export const floorOf = (text: string): string => {
  const { mode, tier } = parseArmLabel(text);
  const sameMode = mode === undefined || mode.includes("-") ? "floor" : `floor+${mode}`;
  return tier === undefined ? sameMode : `${sameMode}:${tier}`;
};
