import type { JobHandler, NewJob } from '../platform/jobs/index.ts';
import { readCosignatures, signedCheckpoint } from './checkpoint.ts';
import type { SignedCheckpoint } from './checkpoint.ts';
import { cosignerRow, currentOf } from './current.ts';
import type { Current, WitnessingParts } from './current.ts';
import { pursue } from './evidence.ts';
import { CosignerFault } from './faults.ts';
import { keepCosignatures, keepFault } from './keep.ts';
import { addEntries } from './mirror-client.ts';
import type { Cosigner } from './policy.ts';
import * as store from './store.ts';
import { WitnessAhead, addCheckpoint } from './witness-client.ts';

/** The task of the jobs that bring mirrors up to date. */
export const feedTask = 'witnessing.feed';
/** Answers in a row that do not move the mirror on; others may feed it at the same time. */
const maxStuck = 3;

interface FeedParts extends WitnessingParts {
  /** Ends the requests that are under way. */
  readonly stopping: AbortSignal;
}

/** Brings one mirror of a log up to date. */
export function feedJob(log: number, cosigner: string): NewJob {
  return { name: `${feedTask}/${log}/${cosigner}`, task: feedTask, input: { log, cosigner }, dueAt: 0 };
}

/** The mirrors that lack what a round was about, and are not left alone for having failed. */
export function mirrorsDue(current: Current): Cosigner[] {
  return current.setting.mirrorCosigners.filter(({ id }) => {
    const known = cosignerRow(current, id);
    return known.size < current.progress.round_size && known.next_at <= current.time;
  });
}

/** Sends a mirror the checkpoint of the last round and all entries up to it (C2SP tlog-mirror), and keeps its cosignature. */
export function feedHandler(parts: WitnessingParts, stopping: AbortSignal): JobHandler {
  return async (job) => {
    const { log, cosigner } = job.input;
    if (typeof log !== 'number') throw new Error('The job names no log.');
    const current = await currentOf(parts, log);
    const mirror = current && mirrorsDue(current).find(({ id }) => id === cosigner);
    if (current !== undefined && mirror !== undefined) await feed({ ...parts, stopping }, current, mirror);
    await parts.database.write((tx) => job.complete(tx));
  };
}

async function feed(parts: FeedParts, current: Current, mirror: Cosigner): Promise<void> {
  const { log } = current;
  const prefix = mirror.url ?? '';
  try {
    const checkpoint = await checkpointOf(parts, log.id, current.progress.round_size);
    await showCheckpoint(parts, current, mirror, checkpoint);
    const { text, size, lines } = await upload(parts, current, mirror, checkpoint);
    const found = await readCosignatures(lines, text, [mirror]);
    const one = found.get(mirror.id);
    if (one === undefined || one instanceof CosignerFault) throw one ?? new CosignerFault('no-cosignature');
    await keepCosignatures(parts, current, { size }, [one]);
  } catch (error) {
    if (!(error instanceof CosignerFault)) throw error;
    // The server stops: that it did not wait is no fault of the mirror.
    if (parts.stopping.aborted) return;
    if (['ahead', 'inconsistent'].includes(error.code)) {
      await pursue(parts.ledger, log, prefix, `Mirror ${mirror.name}`);
    }
    await keepFault(parts, current, [mirror], error);
  }
}

/** Makes the checkpoint the mirror's pending one; another node may have shown it a newer one meanwhile. */
async function showCheckpoint(
  parts: FeedParts,
  current: Current,
  mirror: Cosigner,
  checkpoint: SignedCheckpoint,
): Promise<void> {
  const { log } = current;
  const seen = cosignerRow(current, mirror.id).seen_size;
  try {
    await addCheckpoint({ id: log.id, database: parts.database }, mirror.url ?? '', checkpoint, {
      seen,
      signal: parts.stopping,
    });
  } catch (error) {
    if (!(error instanceof WitnessAhead)) throw error;
    await log.integrate();
    if (error.size > log.size) throw error;
  }
}

/** Sends entries until the mirror has all of them, from where it says that it stands. Gives the lines of its last answer. */
async function upload(
  parts: FeedParts,
  current: Current,
  mirror: Cosigner,
  checkpoint: SignedCheckpoint,
): Promise<{ text: string; size: number; lines: Uint8Array }> {
  const { log } = current;
  const target = { id: log.id, origin: log.origin, database: parts.database };
  let next = { start: Math.min(cosignerRow(current, mirror.id).size, checkpoint.size), end: checkpoint.size };
  let ticket: Uint8Array = new Uint8Array(0);
  const kept = await parts.database.read((snapshot) => store.prunedBelow(snapshot, log.id));
  for (let stuck = 0; stuck < maxStuck;) {
    if (next.start < next.end && next.start < kept) throw new CosignerFault('pruned');
    const answer = await addEntries(mirror.url ?? '', { ...target, ...next, ticket }, parts.stopping);
    if ('lines' in answer) {
      const { text, size } =
        next.end === checkpoint.size ? checkpoint : await checkpointOf(parts, log.id, next.end);
      return { text, size, lines: answer.lines };
    }
    const { nextEntry, size } = answer.goOn;
    if (size > log.size || nextEntry > size) throw new CosignerFault('malformed', 'mirror-info');
    stuck = nextEntry > next.start ? 0 : stuck + 1;
    next = { start: nextEntry, end: size };
    ticket = answer.goOn.ticket;
  }
  throw new CosignerFault('stuck');
}

/** The stored checkpoint over so many entries. A size that none was signed over is none that a mirror can name. */
async function checkpointOf(parts: WitnessingParts, log: number, size: number): Promise<SignedCheckpoint> {
  const note = await parts.database.read((snapshot) => store.checkpointAt(snapshot, log, size));
  if (note === undefined) throw new CosignerFault('malformed', `No checkpoint has ${size} entries.`);
  return signedCheckpoint(Buffer.from(note, 'utf8'));
}
