import type { Hierarchy } from '../../keys/index.ts';
import type { Tx } from '../../platform/database.ts';
import type { Recorded } from '../../platform/implementation.ts';
import { remove } from '../../platform/jobs/index.ts';
import { keyIdOf, logKeyAlgorithms, newLogKey } from './keys.ts';
import { destroyEnding, retirementJob } from './operations.ts';
import * as store from './store.ts';

type LogKeyChange = NonNullable<Recorded['logKeys']>;

interface NamedLog {
  readonly id: number;
  readonly origin: string;
  readonly tenant: string | null;
}

/**
 * Gives a log new signing keys, because its own may be known to others. The old ones sign beside them once more, over the entry that
 * names the new ones, and are then to be ended by {@link endLogKeys}.
 *
 * @returns what the entry about it says
 */
export async function renewLogKeys(
  tx: Tx,
  hierarchy: Hierarchy,
  log: NamedLog,
  time: number,
): Promise<LogKeyChange> {
  await destroyEnding(tx, log.id);
  const active = (await store.logKeys(tx, log.id)).filter(({ state }) => state === 'active');
  const from_size = await store.sizeOfLog(tx, log.id);
  const made = logKeyAlgorithms.map((algorithm) => newLogKey(hierarchy, log, algorithm));
  await store.endActiveKeys(tx, log.id, time);
  await store.insertLogKeys(
    tx,
    made.map((key) => ({ ...key, log: log.id, from_size })),
  );
  const begins = made.map(({ verifier_key }) => verifier_key);
  return { begins, ends: active.map(({ verifier_key }) => keyIdOf(verifier_key)), endsAt: time };
}

/** Destroys the keys that {@link renewLogKeys} has let sign once more. */
export async function endLogKeys(tx: Tx, log: number): Promise<LogKeyChange> {
  const ends = await destroyEnding(tx, log);
  await remove(tx, retirementJob(log, 0).name);
  return { ends };
}
