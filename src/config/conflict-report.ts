/** What the checks of a whole configuration have found, with the places of both values that contradict each other. */
import type { PlacedValue } from "./placed-value.ts";
import { type KeyPath, type Problem, pathText, placeText } from "./problem.ts";

/** The problems of one file, each reported with the place of the value that it contradicts. */
export class Conflicts {
  readonly problems: Problem[] = [];
  readonly #document: PlacedValue;

  constructor(document: PlacedValue) {
    this.#document = document;
  }

  report(path: KeyPath, message: string): void {
    this.problems.push({ code: "ERR_CONFIG_CONFLICT", place: this.#document.valuePlace(path), path, message });
  }

  isList(path: KeyPath): boolean {
    return this.#document.valueAt([...path, 0]).present;
  }

  /** `tunnels.vx42.id (vtepd.yaml:5:9)` */
  at(path: KeyPath): string {
    const place = placeText(this.#document.valuePlace(path));
    return place === "" ? pathText(path) : `${pathText(path)} (${place})`;
  }
}
