import type { StreamRecord } from './record.ts';

/**
 * Where a stream leads: a connection to a collector. One that has failed is not used again. Records are handed on in order, and
 * those behind `taken` may be handed on again over another connection.
 */
export interface Connection {
  /**
   * Hands records on; resolves once they have left this process, or were taken.
   *
   * @throws ConnectionLost where trying again may help; TrialkeepError `stream.refused` where it will not
   */
  send(records: readonly StreamRecord[]): Promise<void>;
  /** How many of the records that were sent over this connection the collector has taken for certain, from the first. */
  taken(): number;
  /** Resolves once nothing is open; `taken` may have grown by then. Never throws. */
  close(): Promise<void>;
}

export interface Sink {
  /** @throws ConnectionLost; TrialkeepError `stream.refused` */
  connect(signal: AbortSignal): Promise<Connection>;
}

/** The collector is out of reach, for now. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}
