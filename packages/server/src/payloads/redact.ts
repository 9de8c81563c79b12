import { findPayload } from '../audit/index.ts';
import type { FoundPayload, TransparencyLog } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import type { PayloadParts } from './operations.ts';
import * as store from './store.ts';

/** What was done in the way of forgetting has to be explained for as long as the ledger is kept. */
const keptOperations: ReadonlySet<string> = new Set(['payloads.redact', 'subjects.erase']);

/**
 * Removes payloads, each with an entry that names the entry it lay beside (design section 7). The entries and every proof stay as
 * they are. What people approve is the list: it is refused as a whole where one of them cannot be redacted.
 *
 * Threat: one person hides what they did. So two others approve, and the entries themselves never go. Copies of the database that
 * were made before still hold the payloads, encrypted, until they are destroyed.
 */
export async function redact(
  { database, ledger }: PayloadParts,
  context: Context<'payloads.redact'>,
): Promise<Apply<'payloads.redact'>> {
  const { input, caller, record, items } = context;
  const log = ledger.log(caller.log.id);
  await log.integrate();
  // Why it was done must not go with the key of a subject that is erased later.
  context.payloadUnder = 'log';
  const found = await database.read((snapshot) => redactable(snapshot, log, input.entries));
  if (caller.means.type === 'approval') {
    for (const { entry, study, subject, key, system } of found.map((each) => each.entry)) {
      const about = { study, subject, key, system };
      const known = Object.fromEntries(Object.entries(about).filter(([, value]) => value !== undefined));
      items.push({ record: { ...record, ...known, redacted: entry }, payload: { reason: input.reason } });
    }
  }
  return async (tx, time) => {
    for (const { position } of found) {
      if (!(await store.removePayload(tx, { log: log.id, position, redacted_at: time }))) {
        throw new OperationError('payload.redacted', { field: '/entries' });
      }
    }
    return { redacted: found.length };
  };
}

async function redactable(
  snapshot: Tx,
  log: TransparencyLog,
  entries: readonly string[],
): Promise<FoundPayload[]> {
  const found: FoundPayload[] = [];
  for (const [i, entry] of entries.entries()) {
    const field = `/entries/${i}`;
    const each = await findPayload(snapshot, log, entry);
    if (each === undefined) throw new OperationError('entry.unknown', { field });
    if (keptOperations.has(each.entry.operation)) throw new OperationError('payload.kept', { field });
    if (each.ciphertext === undefined) {
      throw new OperationError(each.isRedacted ? 'payload.redacted' : 'payload.withheld', { field });
    }
    found.push(each);
  }
  return found;
}
