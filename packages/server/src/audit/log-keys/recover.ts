import type { Hierarchy } from '../../keys/index.ts';
import type { Tx } from '../../platform/database.ts';
import type { Recorded } from '../../platform/implementation.ts';
import { schedule } from '../../platform/jobs/index.ts';
import type { Entry } from '../entry.ts';
import { keyIdOf, logKeyAlgorithms, lostKey, newLogKey } from './keys.ts';
import { retirementJob } from './operations.ts';
import * as store from './store.ts';

type LogKeyChange = NonNullable<Recorded['logKeys']>;

/** What the ledger says of its own signing keys. */
export interface RecordedLogKeys {
  /** Verifier keys that began to sign, and have not ended. */
  readonly begun: ReadonlySet<string>;
  /** Key ids of those that were destroyed. */
  readonly ended: ReadonlySet<string>;
}

/** @param entries in order; those that are not about the log's keys are passed over */
export function recordedLogKeys(
  entries: Iterable<Pick<Entry, 'logKeys' | 'operation' | 'outcome'>>,
): RecordedLogKeys {
  const begun = new Set<string>();
  const ended = new Set<string>();
  for (const { logKeys, operation, outcome } of entries) {
    if (logKeys === undefined || outcome !== 'success') continue;
    for (const verifierKey of logKeys.begins ?? []) begun.add(verifierKey);
    if (operation === 'ledger.retire-key') for (const id of logKeys.ends ?? []) ended.add(id);
  }
  for (const verifierKey of begun) if (ended.has(keyIdOf(verifierKey))) begun.delete(verifierKey);
  return { begun, ended };
}

/** Where the rows of a log's keys are not what the ledger says, a sentence each. */
export async function compareLogKeys(
  snapshot: Tx,
  log: number,
  recorded: RecordedLogKeys,
): Promise<string[]> {
  const rows = await store.logKeys(snapshot, log);
  const known = new Set(rows.map(({ verifier_key }) => verifier_key));
  const again = rows.filter(
    ({ state, verifier_key }) => state !== 'ended' && recorded.ended.has(keyIdOf(verifier_key)),
  );
  const missing = [...recorded.begun].filter((verifierKey) => !known.has(verifierKey));
  return [
    ...again.map(
      ({ verifier_key }) => `Key ${keyIdOf(verifier_key)} of log ${log} signs again; it was destroyed.`,
    ),
    ...missing.map(
      (verifierKey) => `Key ${keyIdOf(verifierKey)} of log ${log} signs, and is not in the database.`,
    ),
  ];
}

/**
 * Destroys, in a database that was put back, the signing keys that the ledger says were destroyed since. Where keys are lost that began since,
 * the log gets new ones, beside what is left of the old. Gives what the entry about that says, and what is gone for good.
 */
export async function recoverLogKeys(
  tx: Tx,
  hierarchy: Hierarchy,
  log: { readonly id: number; readonly origin: string; readonly tenant: string | null },
  entries: readonly Entry[],
  time: number,
): Promise<{ lost: string[]; retired: LogKeyChange | undefined; rotated: LogKeyChange | undefined }> {
  const recorded = recordedLogKeys(entries);
  const rows = await store.logKeys(tx, log.id);
  const size = await store.sizeOfLog(tx, log.id);
  const destroyed = rows.filter(
    ({ state, verifier_key }) => state !== 'ended' && recorded.ended.has(keyIdOf(verifier_key)),
  );
  for (const { id } of destroyed) await store.destroyKey(tx, id, size);
  const signing = new Set(
    rows.filter(({ wrapped_key }) => wrapped_key !== null).map((row) => row.verifier_key),
  );
  const missing = [...recorded.begun].filter((verifierKey) => !signing.has(verifierKey)).map(keyIdOf);
  const left = (await store.logKeys(tx, log.id)).filter(({ state }) => state === 'active');
  if (missing.length === 0 && left.length > 0) return { lost: [], retired: undefined, rotated: undefined };
  const endsAt = Math.max(time, ...entries.map(({ logKeys }) => logKeys?.endsAt ?? 0));
  await store.destroyEndingKeys(tx, log.id, size);
  await store.endActiveKeys(tx, log.id, endsAt);
  if (left.length > 0) await schedule(tx, retirementJob(log.id, endsAt));
  const made = logKeyAlgorithms.map((algorithm) => newLogKey(hierarchy, log, algorithm));
  await store.insertLogKeys(
    tx,
    made.map((key) => ({ ...key, log: log.id, from_size: size })),
  );
  const begins = made.map(({ verifier_key }) => verifier_key);
  return {
    lost: [
      `Signing keys of log ${log.origin} (${missing.join(', ')}): give the new verifier keys to everybody who verifies.`,
    ],
    retired: missing.length > 0 ? { ends: missing } : undefined,
    rotated: { begins, ends: left.map(({ verifier_key }) => keyIdOf(verifier_key)), endsAt },
  };
}

/**
 * Takes note, in a database that was put back, of keys of the log that began since and that the operator trusts: they verify what they signed,
 * and sign nothing, for they are lost. @param until entries that are known to be under their checkpoints
 */
export async function learnLogKeys(
  tx: Tx,
  log: number,
  verifierKeys: readonly string[],
  { from, until }: { readonly from: number; readonly until: number },
): Promise<void> {
  const known = new Set((await store.logKeys(tx, log)).map(({ verifier_key }) => verifier_key));
  const rows = verifierKeys
    .filter((verifierKey) => !known.has(verifierKey))
    .map((verifierKey) => lostKey(verifierKey, log, from, until));
  if (rows.length > 0) await store.insertLogKeys(tx, rows);
}
