/** Finds the key that somebody most likely meant. */

/** Edit distance (insert, delete, replace, swap of neighbours), one row of the table kept plus the one before. */
const distance = (a: string, b: string): number => {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replace = last[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      let best = Math.min(replace, last[column]! + 1, current[column - 1]! + 1);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        best = Math.min(best, beforeLast[column - 2]! + 1);
      }
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length]!;
};

/** `_` for `-` and capitals are the commonest slips and count for nothing. */
const plain = (key: string): string => key.toLowerCase().replaceAll("_", "-");

/** The nearest of `keys`, or undefined when none differs in a third of its characters or less (at least one). */
export const nearestKey = (key: string, keys: readonly string[]): string | undefined => {
  let nearest: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of keys) {
    const allowed = Math.max(1, Math.floor(candidate.length / 3));
    // The length alone rules most candidates out, and keeps an absurdly long key from costing anything.
    if (Math.abs(candidate.length - key.length) <= allowed) {
      const edits = distance(plain(key), plain(candidate));
      if (edits <= allowed && edits < least) {
        nearest = candidate;
        least = edits;
      }
    }
  }
  return nearest;
};
