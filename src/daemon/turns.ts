/** One at a time, in the order of asking: what looks at all tunnels or changes which there are. Main thread. */
export class Turns {
  private last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when everything asked for before has ended, well or not. Must not be called from inside `work`. */
  take<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.last.then(work);
    this.last = turn.catch(() => {});
    return turn;
  }
}
