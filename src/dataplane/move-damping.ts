/**
 * Move damping: a MAC that moved MAX_MOVES times within WINDOW_S stays where it is for HOLD_S, whatever it does. Two stations
 * with one MAC, or a loop behind two VTEPs, then do not move the entry with each frame (each under the FDB's lock, and
 * each sending the other's traffic elsewhere); a station that really moved is found HOLD_S later.
 *
 * All that is remembered is in the FLAGS word of the entry (fdb-memory.ts): whether it is held, how often it moved, and the
 * second in which the window or the hold began, modulo 2^24 (194 days).
 *
 * RFC 7432 section 15.1, for EVPN, has 5 moves in 180 seconds and holds for good; a hold that is over by itself can afford
 * to look at less.
 */

export const MAX_MOVES = 5;
export const WINDOW_S = 10;
export const HOLD_S = 5;

/** The entry is held, or was and has not moved since. */
const HELD = 1 << 3;
const MOVES_SHIFT = 4;
const MOVES = 15 << MOVES_SHIFT;
const SECOND_SHIFT = 8;
/** What is not ours in the word. */
const OTHERS = 7;

const secondsSince = (flags: number, nowS: number): number => (nowS - (flags >>> SECOND_SHIFT)) & 0xffffff;

/** Whether the entry may not move. */
export const isHeld = (flags: number, nowS: number): boolean =>
  (flags & HELD) !== 0 && secondsSince(flags, nowS) < HOLD_S;

/** The word after a MAC was seen elsewhere; `isHeld` of it says whether the entry may move there. */
export const countMove = (flags: number, nowS: number): number => {
  if (isHeld(flags, nowS)) return flags;
  const moves = (flags & MOVES) >>> MOVES_SHIFT;
  const began = (flags & HELD) !== 0 || moves === 0 || secondsSince(flags, nowS) >= WINDOW_S;
  if (began) return (flags & OTHERS) | (1 << MOVES_SHIFT) | (nowS << SECOND_SHIFT);
  if (moves >= MAX_MOVES) return (flags & OTHERS) | HELD | (nowS << SECOND_SHIFT);
  return flags + (1 << MOVES_SHIFT);
};
