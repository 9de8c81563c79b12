import type { JobHandler, NewJob } from '../platform/jobs/index.ts';
import { readCosignatures, signedCheckpoint } from './checkpoint.ts';
import type { SignedCheckpoint } from './checkpoint.ts';
import { cosignerRow, currentOf } from './current.ts';
import type { Current, WitnessingParts } from './current.ts';
import { pursue } from './evidence.ts';
import { CosignerFault } from './faults.ts';
import { keepCosignatures, keepFault } from './keep.ts';
import type { Cosigner } from './policy.ts';
import * as store from './store.ts';
import { WitnessAhead, addCheckpoint } from './witness-client.ts';

/** The task of the jobs that collect cosignatures. */
export const roundTask = 'witnessing.round';
/** Witnesses that the quorum does not need get so long after it is met, so that a slow one holds up nobody. */
const graceMs = 250;

/** A round of one log: of one name there is one job, so that one node at a time asks its witnesses. */
export function roundJob(log: number): NewJob {
  return { name: `${roundTask}/${log}`, task: roundTask, input: { log }, dueAt: 0 };
}

/** The witnesses behind one URL: one request brings the cosignatures of all their keys. */
interface Asked {
  readonly prefix: string;
  readonly cosigners: readonly Cosigner[];
}

/** Whether somebody has to be asked, and may be by now. */
export function isRoundDue(current: Current): boolean {
  const { progress, setting, size } = current;
  if (progress.round_size < size && setting.mirrorCosigners.length > 0) return true;
  return askedNow(current, size).length > 0;
}

/** Shows checkpoints to witnesses, and keeps what they cosign. */
export class Rounds {
  readonly #parts: WitnessingParts;
  /** Requests that a round did not wait for, by log and prefix: their witnesses are left alone until they end. */
  readonly #late = new Map<string, Promise<void>>();
  readonly #stopping: AbortSignal;

  /** @param stopping ends the requests that are under way */
  constructor(parts: WitnessingParts, stopping: AbortSignal) {
    this.#parts = parts;
    this.#stopping = stopping;
  }

  /** Returns once no request is under way. */
  async idle(): Promise<void> {
    await Promise.all(this.#late.values());
  }

  /**
   * One round: a checkpoint is signed, and shown to all witnesses at a time, so that they cosign the same one. What each answers is
   * stored as it comes in; whoever is late is not waited for once the quorum is met.
   */
  readonly handler: JobHandler = async (job) => {
    const parts = this.#parts;
    const { log } = job.input;
    if (typeof log !== 'number') throw new Error('The job names no log.');
    const current = await currentOf(parts, log);
    if (current !== undefined) {
      const checkpoint = signedCheckpoint(await parts.ledger.anchorNow(log));
      await beginRound(parts, current, checkpoint);
      await this.#askAll(current, checkpoint);
    }
    await parts.database.write((tx) => job.complete(tx));
  };

  async #askAll(current: Current, checkpoint: SignedCheckpoint): Promise<void> {
    const { id } = current.log;
    // Before any witness is asked, a quorum of none is met by the checkpoint alone.
    await keepCosignatures(this.#parts, current, checkpoint, []);
    let onMet = (): void => undefined;
    const enough = new Promise<void>((resolve) => {
      onMet = () => void setTimeout(resolve, graceMs).unref();
    });
    const asked = askedNow(current, checkpoint.size).filter(
      ({ prefix }) => !this.#late.has(`${id} ${prefix}`),
    );
    const signal = this.#stopping;
    const asking = asked.map((one) => {
      const name = `${id} ${one.prefix}`;
      const request = askOne(this.#parts, current, checkpoint, { ...one, signal, onMet })
        .catch((error: unknown) =>
          this.#parts.notes.warn(
            { log: current.log.origin, error: String(error) },
            'A witness could not be asked.',
          ),
        )
        .finally(() => this.#late.delete(name));
      this.#late.set(name, request);
      return request;
    });
    await Promise.race([Promise.all(asking), enough]);
  }
}

/** Keeps which checkpoint is asked about: it is also the one that mirrors are brought up to. */
async function beginRound(
  parts: WitnessingParts,
  { log, rowKey, time }: Current,
  { size }: SignedCheckpoint,
): Promise<void> {
  await parts.database.write(async (tx) => {
    const progress = await store.lockProgress(tx, rowKey, log.id);
    if (progress === undefined || progress.round_size >= size) return;
    await store.putProgress(tx, rowKey, { ...progress, round_size: size, round_at: time });
  });
}

/** The witnesses that have not cosigned so much yet, and are not left alone for having failed. */
function askedNow(current: Current, size: number): Asked[] {
  const byPrefix = new Map<string, Cosigner[]>();
  for (const witness of current.setting.witnesses) {
    const known = cosignerRow(current, witness.id);
    if (witness.url === undefined || known.size >= size || known.next_at > current.time) continue;
    byPrefix.set(witness.url, [...(byPrefix.get(witness.url) ?? []), witness]);
  }
  return [...byPrefix].map(([prefix, cosigners]) => ({ prefix, cosigners }));
}

async function askOne(
  parts: WitnessingParts,
  current: Current,
  checkpoint: SignedCheckpoint,
  { prefix, cosigners, signal, onMet }: Asked & { signal: AbortSignal; onMet: () => void },
): Promise<void> {
  try {
    const seen = Math.max(...cosigners.map(({ id }) => cosignerRow(current, id).seen_size));
    const shown = { id: current.log.id, database: parts.database };
    const body = await addCheckpoint(shown, prefix, checkpoint, { seen, signal });
    const found = await readCosignatures(body, checkpoint.text, cosigners);
    const good = [...found.values()].flatMap((one) => (one instanceof CosignerFault ? [] : [one]));
    if (good.length > 0 && (await keepCosignatures(parts, current, checkpoint, good))) onMet();
    for (const cosigner of cosigners) {
      const fault = found.get(cosigner.id);
      if (fault instanceof CosignerFault) await keepFault(parts, current, [cosigner], fault);
    }
  } catch (error) {
    if (!(error instanceof CosignerFault)) throw error;
    // The server stops: that it did not wait is no fault of the witness.
    if (signal.aborted) return;
    await answerFault(parts, current, { prefix, cosigners }, error);
  }
}

/** What a witness says against the log is looked into before it counts as the witness's fault. */
async function answerFault(
  parts: WitnessingParts,
  current: Current,
  { prefix, cosigners }: Asked,
  fault: CosignerFault,
): Promise<void> {
  const { log } = current;
  if (fault instanceof WitnessAhead) {
    await log.integrate();
    // Another node has shown it more than this one knew of: the next round is about that.
    if (fault.size <= log.size) return;
  }
  if (['ahead', 'inconsistent'].includes(fault.code)) {
    await pursue(parts.ledger, log, prefix, cosigners.map(({ name }) => name).join(', '));
  }
  await keepFault(parts, current, cosigners, fault);
}
