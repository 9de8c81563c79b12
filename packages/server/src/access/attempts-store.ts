import type { Clock } from '../platform/clock.ts';
import { databaseTime } from '../platform/database.ts';
import type { Tx } from '../platform/database.ts';

/** So many failures in a row lock for a while. */
const failuresPerLock = 10;
const lockMs = 15 * 60_000;
/** So many lock until the person is invited anew: the most that NIST SP 800-63B-4 section 3.2.2 allows. */
const maxFailures = 100;
const forever = Number.MAX_SAFE_INTEGER;

/**
 * Counts a failed attempt, by the database's time; one statement. False where the person is locked: the attempt counts for
 * nothing then, and what came of it must not be told. Attempts on all nodes are counted one after the other, so that trying
 * at once gains nothing.
 */
export async function countFailure(tx: Tx, clock: Clock, person: string): Promise<boolean> {
  const time = databaseTime(tx, clock);
  const counted = await tx
    .updateTable('person')
    .set((eb) => {
      const failures = eb.parens(eb('failures', '+', 1));
      const lockedUntil = eb
        .case()
        .when(failures, '>=', maxFailures)
        .then(forever)
        .when(eb(failures, '%', failuresPerLock), '=', 0)
        .then(eb(time, '+', lockMs))
        .else(eb.ref('locked_until'))
        .end();
      return { failures, locked_until: lockedUntil };
    })
    .where('id', '=', person)
    .where('locked_until', '<=', time)
    .returning('id')
    .executeTakeFirst();
  return counted !== undefined;
}

/** Forgets the failures before a success; false where the person was locked meanwhile. */
export async function forgetFailures(tx: Tx, clock: Clock, person: string): Promise<boolean> {
  const forgotten = await tx
    .updateTable('person')
    .set({ failures: 0, locked_until: 0 })
    .where('id', '=', person)
    .where('locked_until', '<=', databaseTime(tx, clock))
    .returning('id')
    .executeTakeFirst();
  return forgotten !== undefined;
}

/** Takes every lock off a person whose authenticators are new. */
export async function unlock(tx: Tx, person: string): Promise<void> {
  await tx.updateTable('person').set({ failures: 0, locked_until: 0 }).where('id', '=', person).execute();
}
