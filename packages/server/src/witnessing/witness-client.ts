import { createHash } from 'node:crypto';
import { LedgerError, formatAddCheckpoint, maxNoteBytes, parseSize, sizeMediaType } from '@trialkeep/ledger';
import type { Database } from '../platform/database.ts';
import type { OutwardAnswer } from '../platform/outward.ts';
import { maxAnswerBytes, proofBetween } from './checkpoint.ts';
import type { SignedCheckpoint } from './checkpoint.ts';
import { CosignerFault } from './faults.ts';
import { askCosigner } from './outward.ts';

/** A witness gets so long for one answer. */
export const witnessTimeoutMs = 5000;
/** Sizes that a witness may correct us by in a row: other nodes may ask it at the same time. */
const maxAttempts = 4;

/** The witness knows more entries than the checkpoint that it was asked about has. */
export class WitnessAhead extends CosignerFault {
  readonly size: number;

  constructor(size: number) {
    super('ahead', `It says ${size}.`);
    this.size = size;
  }
}

/** A log whose checkpoints are shown to witnesses. */
export interface ShownLog {
  readonly id: number;
  readonly database: Database;
}

/**
 * Shows a checkpoint to a witness or mirror (C2SP tlog-witness, add-checkpoint), with the proof from whatever it saw last. Gives
 * the body of its answer, unverified.
 *
 * @param seen what it probably saw last; it corrects that
 * @throws CosignerFault; {@link WitnessAhead}
 */
export async function addCheckpoint(
  { id, database }: ShownLog,
  prefix: string,
  checkpoint: SignedCheckpoint,
  { seen, signal }: { readonly seen: number; readonly signal?: AbortSignal },
): Promise<Uint8Array> {
  let oldSize = Math.min(seen, checkpoint.size);
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    const proof = await proofBetween(database, id, oldSize, checkpoint.size);
    const answer = await askCosigner({
      method: 'POST',
      url: `${prefix}/add-checkpoint`,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: formatAddCheckpoint({ oldSize, proof, checkpoint: checkpoint.note }),
      timeoutMs: witnessTimeoutMs,
      maxBytes: maxAnswerBytes,
      ...(signal !== undefined && { signal }),
    });
    if (answer.status === 200) return answer.body;
    if (answer.status !== 409) throw refusalOf(answer);
    const size = sizeOf(answer);
    if (size > checkpoint.size) throw new WitnessAhead(size);
    // What it knows has another root at this size: v1.0.0 of the specification says so with this status.
    if (size === oldSize) throw new CosignerFault('inconsistent');
    oldSize = size;
  }
  throw new CosignerFault('malformed', 'The size that it states keeps changing.');
}

/** How many entries a witness says that it knows, without telling it anything but a checkpoint that was signed long ago. */
export async function sizeSeenBy(
  log: ShownLog,
  prefix: string,
  checkpoint: SignedCheckpoint,
): Promise<number> {
  try {
    await addCheckpoint(log, prefix, checkpoint, { seen: 0 });
    return checkpoint.size;
  } catch (error) {
    if (error instanceof WitnessAhead) return error.size;
    throw error;
  }
}

/** The checkpoint that a witness or mirror shows to everybody, unverified; undefined where it shows none. */
export async function shownBy(prefix: string, origin: string): Promise<Uint8Array | undefined> {
  const hash = createHash('sha256').update(origin, 'utf8').digest('hex');
  const answer = await askCosigner({
    method: 'GET',
    url: `${prefix}/${hash}/checkpoint`,
    timeoutMs: witnessTimeoutMs,
    maxBytes: maxNoteBytes,
  });
  return answer.status === 200 ? answer.body : undefined;
}

function refusalOf({ status }: OutwardAnswer): CosignerFault {
  if (status === 404) return new CosignerFault('log-unknown');
  if (status === 403) return new CosignerFault('log-refused');
  if (status === 422) return new CosignerFault('inconsistent');
  return new CosignerFault('status', String(status));
}

function sizeOf({ contentType, body }: OutwardAnswer): number {
  if (!contentType.startsWith(sizeMediaType)) throw new CosignerFault('malformed', contentType);
  return wellFormed(() => parseSize(body));
}

/** What a parser of the specification's messages makes of an answer. @throws CosignerFault `malformed` */
export function wellFormed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof LedgerError) throw new CosignerFault('malformed', error.message, error);
    throw error;
  }
}
