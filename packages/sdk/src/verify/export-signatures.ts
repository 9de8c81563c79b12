import { decodeBundle, LedgerError } from '@trialkeep/ledger';
import { pagesOf } from '../client/index.ts';
import type { Caller, CallOptions } from '../client/index.ts';
import { TrialkeepError } from '../errors.ts';
import { sha256Hex } from './primitives.ts';
import { formatSignatureLine, parseSignatureRecord, signedEntryOf, timeOfEntry } from './signature-record.ts';

/**
 * The signature records of a log that is being exported. They are listed behind the log, so that none is missing; those of entries
 * that came meanwhile, behind the exported checkpoint, are left out, and so are those of pruned entries.
 */
export class ExportedSignatures {
  readonly #signed = new Set<string>();
  readonly #isPruned: boolean;
  #firstTime = Infinity;
  #lastTime = 0;

  /** @param isPruned whether entries of the log are left out at its beginning */
  constructor(isPruned: boolean) {
    this.#isPruned = isPruned;
  }

  /** Takes the entries of a bundle as it came. One that is damaged is left to the verifier. */
  addBundle(bundle: Uint8Array, width: number): void {
    let entries: Uint8Array[];
    try {
      entries = decodeBundle(bundle, width);
    } catch (error) {
      if (error instanceof LedgerError) return;
      throw error;
    }
    for (const entry of entries) {
      const signed = signedEntryOf(entry);
      if (signed !== undefined) this.#signed.add(signed.signature);
    }
    // Times of a log never go back.
    this.#firstTime = Math.min(this.#firstTime, timeOfEntry(entries[0]));
    this.#lastTime = Math.max(this.#lastTime, timeOfEntry(entries.at(-1)));
  }

  /** The text of the file of signatures; undefined where the credential may not read them. */
  async fetch(client: Caller, calling: CallOptions): Promise<string | undefined> {
    const lines: string[] = [];
    try {
      for await (const { signatures } of pagesOf((at) => client.call('signatures.list', at, calling))) {
        for (const { record, document } of signatures) {
          if (!this.#isLeftOut(record)) lines.push(formatSignatureLine({ record, document }));
        }
      }
    } catch (error) {
      if (error instanceof TrialkeepError && error.code === 'access.denied') return undefined;
      throw error;
    }
    return lines.join('');
  }

  /** Whether a record is of an entry behind or before those that were taken. Everything else stays, for the verifier to judge. */
  #isLeftOut(record: string): boolean {
    if (this.#signed.has(sha256Hex(record))) return false;
    const time = parseSignatureRecord(record)?.time ?? 0;
    return time >= this.#lastTime || (this.#isPruned && time <= this.#firstTime);
  }
}
