import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { resolve } from 'node:path';
import { checkRow, sealRow } from '../keys/index.ts';
import type { DataDirectory } from '../platform/config.ts';
import type { Database, Tx } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import { describeRoot, epochFolder, openRootOnly } from '../roots/index.ts';
import type { RootOfTrust } from '../roots/index.ts';
import * as store from './store.ts';
import type { InstanceRow, RootRow } from './store.ts';

function sealedFields({ wrapped_key, ...row }: Omit<RootRow, 'seal'>): Parameters<typeof sealRow>[2] {
  const wrapped = wrapped_key === null ? null : createHash('sha256').update(wrapped_key).digest('hex');
  const { id, kind, folder, module, certificate, state, made_at, changed_at } = row;
  return [id, kind, folder, module, certificate, state, made_at, changed_at, wrapped];
}

/** What a row says of a root itself. */
export function rootRow(root: RootOfTrust, folder: string, place: string, time: number) {
  return {
    id: root.id,
    kind: root.kind,
    folder,
    module: root.module === undefined ? '' : JSON.stringify(root.module),
    certificate: describeRoot(place).certificate ?? null,
    made_at: time,
    changed_at: time,
  };
}

export function sealedRoot(rowKey: KeyObject, row: Omit<RootRow, 'seal'>): RootRow {
  return { ...row, seal: sealRow(rowKey, 'instance_root', sealedFields(row)) };
}

/**
 * Retires every root that there is, and makes another one active, in the transaction that exchanges the instance key: what the old ones
 * have wrapped is the old key.
 *
 * @param rowKeys what sealed the rows until now, and what seals them from now on
 * @throws StartupError `database.altered`
 */
export async function putReplacedRoots(
  tx: Tx,
  rowKeys: { readonly before: KeyObject; readonly after: KeyObject },
  next: {
    readonly root: RootOfTrust;
    /** As it is stored, and where that is. */
    readonly folder: string;
    readonly place: string;
    readonly wrapped_key: Uint8Array;
    readonly time: number;
  },
): Promise<void> {
  const { root, folder, place, wrapped_key, time } = next;
  const rows = await store.listRoots(tx);
  checkRootRows(rowKeys.before, rows);
  for (const { seal: _, ...row } of rows) {
    const retired = { ...row, state: 'retired' as const, wrapped_key: null, changed_at: time };
    await store.putRoot(tx, sealedRoot(rowKeys.after, row.state === 'retired' ? row : retired));
  }
  const row = { ...rootRow(root, folder, place, time), wrapped_key, state: 'active' as const };
  await store.putRoot(tx, sealedRoot(rowKeys.after, row));
  await store.setActiveRoot(tx, root.id, wrapped_key);
}

/** @throws StartupError `database.altered` */
export function checkRootRows(rowKey: KeyObject, rows: readonly RootRow[]): void {
  for (const row of rows) checkRow(rowKey, 'instance_root', sealedFields(row), row.seal);
}

/** The instance key as it is wrapped under this root. @throws StartupError where it is not */
export function wrappedUnder(
  root: Pick<RootOfTrust, 'id' | 'kind'>,
  instance: InstanceRow,
  rows: readonly RootRow[],
): Uint8Array {
  const row = rows.find(({ id }) => id === root.id);
  if (row?.state === 'retired') throw new StartupError('root.retired', root.id);
  // An installation from before has no row of its root.
  const wrapped = row?.wrapped_key ?? (instance.root_id === root.id ? instance.wrapped_key : undefined);
  if (wrapped === undefined) {
    const code = root.kind === 'passphrase' ? 'root.passphrase_wrong' : 'root.wrong';
    throw new StartupError(code, 'The database belongs to another root of trust.');
  }
  return wrapped;
}

export function rootFolder(directory: DataDirectory, { folder }: Pick<RootRow, 'folder'>): string {
  return resolve(directory.path, folder);
}

/** The other roots that are in use, as they are when it is asked. */
export function followersOf(directory: DataDirectory, database: Database, open: string) {
  return async () => {
    const rows = await database.read(store.listRoots);
    return rows
      .filter(({ id, state }) => id !== open && state !== 'retired')
      .map((row) => {
        const folder = rootFolder(directory, row);
        return { folder: epochFolder(folder, row.id), open: () => openOther(folder, row.id) };
      });
  };
}

/** Opens a root that is to be the one of a row. @param isFirst whether it is the one that the installation is started with */
export async function openOther(folder: string, id: string, isFirst = false): Promise<RootOfTrust> {
  const root = await openRootOnly(folder, { secretsFolder: folder, isFirst });
  if (root.id === id) return root;
  await root.close();
  throw new StartupError('root.wrong', `${folder} has another root than the one that was added.`);
}
