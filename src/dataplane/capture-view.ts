/** A capture as control asks for it. */

export interface CaptureRequest {
  /** Only this tunnel's. */
  readonly dev?: string | undefined;
  /** Overlay frames, or packets of the underlay; default both. */
  readonly layer?: "inner" | "outer" | undefined;
  /** See daemon/filter-expression.ts. */
  readonly filter?: string | undefined;
  /** Bytes of each packet, at most. */
  readonly snaplen?: number | undefined;
  /** Packets, then the capture ends. */
  readonly count?: number | undefined;
}

/** Where a capture goes. */
export interface CaptureSink {
  /** Takes whole blocks of pcapng, or nothing, and then returns false. @param isLast taken in any case */
  write(blocks: Uint8Array, isLast?: boolean): boolean;
  /** The capture has ended by itself. */
  end(): void;
}
