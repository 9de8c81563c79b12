import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

/** Removes a payload, where it is there, and keeps when it was redacted: for what the ledger says was. */
export async function redactAgain(tx: Tx, redaction: Tables['ledger_redaction']): Promise<void> {
  const { log, position } = redaction;
  await tx.deleteFrom('ledger_payload').where('log', '=', log).where('position', '=', position).execute();
  await tx
    .insertInto('ledger_redaction')
    .values(redaction)
    .onConflict((conflict) => conflict.columns(['log', 'position']).doNothing())
    .execute();
}

/** Removes a payload and keeps when; false where there is none any more. */
export async function removePayload(tx: Tx, redaction: Tables['ledger_redaction']): Promise<boolean> {
  const { log, position } = redaction;
  const removed = await tx
    .deleteFrom('ledger_payload')
    .where('log', '=', log)
    .where('position', '=', position)
    .returning('position')
    .executeTakeFirst();
  if (removed === undefined) return false;
  await tx.insertInto('ledger_redaction').values(redaction).execute();
  return true;
}
