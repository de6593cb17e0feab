/** Thrown by an arm or a workload that cannot do what is asked of the two together: no failure, but a note in the report. */
export class Unfit extends Error {
  override readonly name = "Unfit";
}
