import {
  appendOwn,
  entriesAt,
  findPlaces,
  parseEntry,
  progress,
  rangeOf,
  sealDraft,
} from '../audit/index.ts';
import type { Ledger } from '../audit/index.ts';
import { sha256Hex } from '../platform/canonical.ts';
import type { Database } from '../platform/database.ts';
import type { FactsCache } from '../platform/facts.ts';
import { MinutesFolder } from './minutes-folder.ts';
import { UnsealingsFolder } from './unsealings-folder.ts';

/** The entry of a ceremony, whose `hash` is that of its minutes; these are its payload. */
export const ceremonyOperation = 'instance.ceremony';
/** People have opened the root with their shares. Who they were, nobody can know. */
const unsealOperation = 'instance.unseal';

/** More ceremonies, or unsealings, than an installation holds. */
const maxCeremonies = 10_000;

export interface RecordParts {
  readonly database: Database;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  readonly notes: { warn(details: object, message: string): void };
}

/**
 * Takes up in the ledger of the instance what ceremonies and unsealings have left in the data directory, each once; called again and again
 * where the server may write.
 */
export function ceremonyRecorder(parts: RecordParts, dataDirectory: string): () => Promise<void> {
  const folder = new MinutesFolder(dataDirectory);
  const unsealings = new UnsealingsFolder(dataDirectory);
  let said = '';
  return async () => {
    try {
      for (const { name, text } of folder.waiting()) {
        const hash = sha256Hex(Buffer.from(text));
        if (!(await isRecorded(parts, ceremonyOperation, hash)))
          await append(parts, ceremonyOperation, hash, { minutes: text });
        folder.settle(name);
      }
      for (const { name, text, record } of unsealings.waiting()) {
        const hash = sha256Hex(Buffer.from(text));
        if (!(await isRecorded(parts, unsealOperation, hash)))
          await append(parts, unsealOperation, hash, record);
        unsealings.settle(name);
      }
    } catch (error) {
      // What stays as it is is said once.
      if (String(error) === said) return;
      said = String(error);
      parts.notes.warn(
        { error: said },
        'Minutes of a ceremony or an unsealing could not be recorded; trying again.',
      );
    }
  };
}

async function append(
  { ledger, facts }: RecordParts,
  operation: string,
  hash: string,
  payload: object,
): Promise<void> {
  const { id, origin, payloadKey } = ledger.instanceLog;
  const draft = { operation, outcome: 'success', recorded: { hash } } as const;
  await appendOwn(ledger, facts, id, sealDraft(draft, origin, payload, payloadKey));
}

/** A crash may have come between the entry and the move of the file. */
async function isRecorded(
  { database, ledger }: RecordParts,
  operation: string,
  hash: string,
): Promise<boolean> {
  const log = ledger.instanceLog;
  await log.integrate();
  const bound = await database.read((snapshot) => progress(snapshot, log.id));
  const read: Database['read'] = (work) => database.read(work);
  const conditions = { operation };
  const places = await findPlaces(
    read,
    log.id,
    conditions,
    await rangeOf(read, log.id, conditions, bound),
    maxCeremonies,
  );
  const rows = await database.read((snapshot) => entriesAt(snapshot, log.id, places));
  return rows.some(({ bytes }) => parseEntry(bytes).hash === hash);
}
