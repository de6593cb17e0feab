/**
 * Steps to take back, newest first. Whoever makes something that lives on the host pushes how to unmake it; when a later
 * step fails, or at the end of its life, everything is unmade and nothing is left behind.
 */
export class Undo {
  private steps: (() => void | Promise<void>)[] = [];

  push(step: () => void | Promise<void>): void {
    this.steps.push(step);
  }

  /** Takes all steps, also when one fails; then throws the first failure. Empty afterwards. */
  async run(): Promise<void> {
    const steps = this.steps.reverse();
    this.steps = [];
    const failures: unknown[] = [];
    for (const step of steps) {
      try {
        await step();
      } catch (failure) {
        failures.push(failure);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
