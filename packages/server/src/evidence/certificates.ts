import type { Conditions, OperationId } from '@trialkeep/contract';
import type { Bodies, ListedEntry } from '@trialkeep/evidence';
import { progress } from '../audit/index.ts';
import type { TransparencyLog } from '../audit/index.ts';
import { findErasure, registriesOf, remainingOf } from '../erasure/index.ts';
import { remainingHolders } from '../holders/index.ts';
import type { Remaining } from '../holders/index.ts';
import { findKey } from '../keys/index.ts';
import type { DialectName } from '../platform/migrations.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context } from '../platform/implementation.ts';
import type { ContentParts } from './content.ts';
import * as store from './store.ts';

/** Entries of the log under conditions, in order, as far as the log has been looked at. */
export type Find = (
  conditions: Conditions,
  bound: { readonly first: number; readonly size: number },
) => Promise<ListedEntry[]>;

/** What lies in copies of the shred store until the key of its epoch is changed (design section 5). */
export const remainingCopies =
  'Copies of the key store that were made before the erasure, such as its backups: they open until the key of their epoch is changed';
export const settling = 'No registered place; the server is about to note that.';

export function sentence({ kind, name, expiresAt }: Remaining): string {
  const until = expiresAt === null ? 'until it is attested' : `until ${new Date(expiresAt).toISOString()}`;
  return `${name} (${kind}), ${until}`;
}

type Listed = Pick<Bodies['subject.erasure'], 'entries' | 'signatures' | 'size'>;

/** The entries of these operations about something, the decisions on their approvals, and the signatures under those. */
export async function listed(
  { database }: ContentParts,
  log: TransparencyLog,
  find: Find,
  about: Conditions,
  operations: readonly string[],
): Promise<Listed> {
  await log.integrate();
  const bound = await database.read((snapshot) => progress(snapshot, log.id));
  const own: ListedEntry[] = [];
  for (const operation of operations) own.push(...(await find({ ...about, operation }, bound)));
  const approvals = new Set(
    own.flatMap(({ entry }) => (typeof entry.approval === 'string' ? [entry.approval] : [])),
  );
  const decisions: ListedEntry[] = [];
  for (const approval of approvals) {
    const found = await find({ approval }, bound);
    decisions.push(...found.filter(({ entry }) => entry.operation.startsWith('approvals.')));
  }
  const entries = [...own, ...decisions].sort((a, b) => a.index - b.index);
  const hashes = entries.flatMap(({ entry }) =>
    typeof entry.signature === 'string' ? [entry.signature] : [],
  );
  const signatures = await database.read((tx) => store.signatureRecords(tx, log.id, hashes));
  return { entries, signatures, size: bound.size };
}

/** The certificate of a participant's erasure. */
export async function erasure(
  parts: ContentParts,
  log: TransparencyLog,
  { input, caller, now, record }: Context<'evidence.make'>,
  find: Find,
): Promise<Bodies['subject.erasure']> {
  const { study, subject } = input;
  if (study === undefined) throw new OperationError('request.invalid', { field: '/study' });
  if (subject === undefined) throw new OperationError('request.invalid', { field: '/subject' });
  Object.assign(record, { study, subject });
  const { database, hierarchy } = parts;
  const tenant = tenantOf(caller);
  const state = await database.read((tx) => store.subjectState(tx, tenant, study, subject));
  if (state === undefined) throw new OperationError('subject.unknown', { field: '/subject' });
  const operation = 'subjects.erase' satisfies OperationId;
  const found = await listed(parts, log, find, { study, subject }, [operation]);
  const isErased = found.entries.some(
    ({ entry }) => entry.operation === operation && entry.outcome === 'success',
  );
  if (state === 'active' || !isErased) throw new OperationError('evidence.not_erased', { field: '/subject' });
  if (state === 'erased') return { ...found, remaining: [], state, study, subject };
  const [rowKey, registries] = await Promise.all([hierarchy.rowKey(tenant), registriesOf(parts, tenant)]);
  const places = await database.read(async (tx) => {
    const row = await findErasure(tx, rowKey, study, subject);
    return row && remainingOf(tx, registries, row, now);
  });
  const remaining = places?.map(sentence) ?? [remainingCopies];
  return { ...found, remaining: remaining.length === 0 ? [settling] : remaining, state, study, subject };
}

/** How the secrets of a key are destroyed, and what that does not reach, by the database. */
const methods: Record<DialectName, readonly string[]> = {
  sqlite: [
    'The secrets of all versions were overwritten with nothing in the transaction that holds the entry; the database overwrites freed space (secure_delete).',
    'The write-ahead log of the database may hold the wrapped secrets until it is written back and used again.',
  ],
  postgres: [
    'The secrets of all versions were overwritten with nothing in the transaction that holds the entry.',
    'The database keeps the wrapped secrets in dead rows until vacuum, in its write-ahead log until that is removed, and in archives and replicas of that log: register those as holders.',
  ],
};

/** The certificate that a key was destroyed. */
export async function destruction(
  parts: ContentParts,
  log: TransparencyLog,
  { input, caller, now, record }: Context<'evidence.make'>,
  find: Find,
): Promise<Bodies['key.destruction']> {
  const { key } = input;
  if (key === undefined) throw new OperationError('request.invalid', { field: '/key' });
  record.key = key;
  const { database, hierarchy } = parts;
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  const row = await database.read((tx) => findKey(tx, rowKey, tenant, key));
  if (row === undefined) throw new OperationError('key.unknown', { field: '/key' });
  const operations = ['keys.schedule-destruction', 'keys.cancel-destruction', 'keys.destroy'];
  const found = await listed(parts, log, find, { key }, operations);
  const destroyed = found.entries.findLast(
    ({ entry }) => entry.operation === 'keys.destroy' && entry.outcome === 'success',
  );
  if (destroyed === undefined) throw new OperationError('evidence.not_destroyed', { field: '/key' });
  const registries = await registriesOf(parts, tenant);
  const thing = { about: 'key', thing: key, study: null, destroyedAt: destroyed.entry.time } as const;
  const remaining = await database.read((tx) => remainingHolders(tx, registries, thing, now));
  return { ...found, key, method: methods[database.dialect], remaining: remaining.map(sentence) };
}
