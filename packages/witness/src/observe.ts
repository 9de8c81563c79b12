import {
  EMPTY_ROOT,
  LedgerError,
  formatSize,
  parseAddCheckpoint,
  parseCheckpoint,
  parseNote,
  sizeMediaType,
  verifyConsistency,
  type Checkpoint,
} from '@trialkeep/ledger';
import { Refusal } from './answer.ts';
import type { Clock } from './clock.ts';
import { cosigningTime } from './cosign.ts';
import type { Logger } from './logger.ts';
import type { ConfiguredLog, LogBook } from './logs.ts';
import { formatNote, openLogNote, type LogSignedNote } from './notes.ts';
import { sha256 } from './primitives.ts';
import type { Conflict, State } from './state.ts';
import type { Turns } from './turns.ts';

/** What a process works with. */
export interface Works {
  readonly state: State;
  readonly logs: LogBook;
  readonly clock: Clock;
  readonly logger: Logger;
  /** By origin: whatever reads and then changes what is known of a log. */
  readonly turns: Turns;
}

/** A checkpoint as it was submitted, signed by its log. */
interface Submitted extends Checkpoint {
  readonly oldSize: number;
  readonly proof: readonly Uint8Array[];
  readonly signed: LogSignedNote;
}

/**
 * `add-checkpoint` of C2SP tlog-witness: believes a checkpoint only where its log signed it and it continues the latest one that was
 * believed, and has it on disk before anything is said about it.
 */
export class Observer {
  readonly #works: Works;
  readonly #seal: (signed: LogSignedNote, time: number) => Promise<Uint8Array>;

  /** @param seal makes the note that is stored and answered, of a witness with its cosignatures at `time`, in seconds */
  constructor(works: Works, seal: (signed: LogSignedNote, time: number) => Promise<Uint8Array>) {
    this.#works = works;
    this.#seal = seal;
  }

  /**
   * @param body of the request, unverified
   * @returns the note that is stored now
   * @throws Refusal with the status codes of the specification
   */
  async addCheckpoint(body: Uint8Array): Promise<Uint8Array> {
    const submitted = await this.#open(body);
    if (submitted.oldSize > submitted.size)
      throw new Refusal(400, 'The old size is larger than the checkpoint.');
    return this.#works.turns.take(submitted.origin, () => this.#advance(submitted));
  }

  async #open(body: Uint8Array): Promise<Submitted> {
    const { oldSize, proof, checkpoint: note } = orBadRequest(() => parseAddCheckpoint(body));
    const { text } = orBadRequest(() => parseNote(note));
    const log = this.#works.logs.find(text.slice(0, text.indexOf('\n')));
    if (log === undefined) throw new Refusal(404, 'No log of this origin is known here.');
    const signed = await openSigned(note, log);
    return { oldSize, proof, signed, ...orBadRequest(() => parseCheckpoint(signed.text)) };
  }

  async #advance(submitted: Submitted): Promise<Uint8Array> {
    const { state } = this.#works;
    const { origin, oldSize, size, root, signed } = submitted;
    const head = state.head(origin);
    this.#noticeFork(submitted);
    if (oldSize !== (head?.size ?? 0)) throw sizeConflict(head?.size ?? 0);
    this.#checkContinues(submitted);
    const time = cosigningTime(this.#works, origin, head?.time ?? 0);
    const note = await this.#seal(signed, time);
    if (!state.advance(origin, oldSize, { size, root, note, time })) {
      throw sizeConflict(state.head(origin)?.size ?? 0);
    }
    return note;
  }

  #checkContinues(submitted: Submitted): void {
    const { origin, oldSize: from, size: to, root: toRoot, proof } = submitted;
    if (to === 0 && !equal(toRoot, EMPTY_ROOT))
      throw new Refusal(422, 'The empty tree has another root hash.');
    if (from === 0) {
      if (proof.length > 0) throw new Refusal(422, 'From size zero no proof is needed, and none is taken.');
      return;
    }
    const head = this.#works.state.head(origin);
    try {
      verifyConsistency(sha256, { from, to, fromRoot: head?.root ?? EMPTY_ROOT, toRoot, proof });
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      if (to > from) this.#keep(submitted, 'unproven', from);
      throw new Refusal(422, 'The checkpoint is not consistent with the latest one.');
    }
  }

  /** Keeps the proof of a lie: two roots that the log signed for one size, whatever else is wrong with the request. */
  #noticeFork(submitted: Submitted): void {
    const { origin, size, root } = submitted;
    const known = this.#works.state.checkpoint(origin, size);
    if (known !== undefined && !equal(known.root, root)) this.#keep(submitted, 'fork', size);
  }

  #keep(submitted: Submitted, kind: Conflict['kind'], olderSize: number): void {
    const { state, clock, logger } = this.#works;
    const { origin, size, root, signed, proof } = submitted;
    const older = state.checkpoint(origin, olderSize) ?? state.head(origin);
    if (older === undefined) return;
    const newer = { size, root, note: formatNote(signed) };
    const conflict = {
      origin,
      kind,
      older,
      newer,
      proof: kind === 'fork' ? '' : proof.map((hash) => Buffer.from(hash).toString('base64')).join('\n'),
    };
    const kept = state.keepConflict(conflict, clock.now());
    const sizes = { origin, olderSize: older.size, newerSize: size };
    if (kept === 'known') logger.warn(sizes, 'A contradiction that is on record was submitted again.');
    else if (kind === 'fork') logger.error(sizes, 'The log signed two different trees of one size: it lies.');
    // Whoever sees a checkpoint can send it with a wrong proof: that alone convicts nobody.
    else logger.warn(sizes, 'A signed tree does not follow from the latest one by the proof sent.');
  }
}

/** 409 with the size that a client has to start from (C2SP tlog-witness, add-checkpoint). */
function sizeConflict(size: number): Refusal {
  return new Refusal(409, 'Another size is the latest.', {
    type: sizeMediaType,
    body: formatSize(size),
  });
}

async function openSigned(note: Uint8Array, { verifiers }: ConfiguredLog): Promise<LogSignedNote> {
  try {
    return await openLogNote(note, verifiers);
  } catch (error) {
    if (error instanceof LedgerError)
      throw new Refusal(403, 'No trusted key of this log has signed it, or falsely.');
    throw error;
  }
}

/** What a parser of the ledger refuses is a bad request. */
export function orBadRequest<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof LedgerError) throw new Refusal(400, error.message);
    throw error;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
