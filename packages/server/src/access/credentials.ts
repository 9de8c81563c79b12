import type { KeyObject } from 'node:crypto';
import { generateCredential, hashCredential } from '@trialkeep/crypto';
import type { Input, Operations, Output, Role } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import { keysKnown, systemExists } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { accessKeyId, hashSecretAccessKey, newSecretAccessKey, wrapSecret } from './access-keys.ts';
import * as store from './credential-store.ts';
import type { NamedCredential } from './credential-store.ts';

type CredentialView = Output<Operations['credentials.revoke']>;

/** Makes a credential inside a transaction; only its hash is stored. */
export async function createCredential(
  tx: Tx,
  rowKey: KeyObject,
  made: { log: number; name: string; role: Role; secret: string; time: number },
): Promise<string> {
  const id = newId();
  await store.insertCredential(tx, rowKey, {
    id,
    log: made.log,
    name: made.name,
    role: made.role,
    system: null,
    secret_hash: hashCredential(made.secret),
    state: 'active',
    created_at: made.time,
    expires_at: null,
  });
  return id;
}

export async function issue(
  hierarchy: Hierarchy,
  context: Context<'credentials.issue'>,
): Promise<Apply<'credentials.issue'>> {
  const { input, caller, record, now } = context;
  const keys = input.keys ?? [];
  if (input.system !== undefined) record.system = input.system;
  await checkScope(context, keys);
  if (input.role === 'data-recovery' && input.expiresAt === undefined) {
    throw new OperationError('credential.expiry_required', { field: '/expiresAt' });
  }
  if (input.expiresAt !== undefined && input.expiresAt <= now) {
    throw new OperationError('date.past', { field: '/expiresAt' });
  }
  const rowKey = await hierarchy.rowKey(caller.log.tenant);
  const id = newId();
  const { secret, ...stored } = await newSecret(hierarchy, caller.log.tenant, id, input.form);
  return async (tx, time) => {
    record.credential = id;
    record.state = 'active';
    const row = {
      id,
      log: caller.log.id,
      name: input.name,
      role: input.role,
      system: input.system ?? null,
      ...stored,
      state: 'active' as const,
      created_at: time,
      expires_at: input.expiresAt ?? null,
    };
    await store.insertCredential(tx, rowKey, row, keys);
    return { credential: view(row, new Set(keys)), secret };
  };
}

/** A secret that is sent with each request, of which the hash suffices; or one that requests are signed with, which is kept wrapped. */
async function newSecret(
  hierarchy: Hierarchy,
  tenant: string | null,
  credential: string,
  form: Input<Operations['credentials.issue']>['form'],
): Promise<{ secret: string; secret_hash: Uint8Array; wrapped_secret: Uint8Array | null }> {
  if (form !== 'access-key') {
    const secret = generateCredential();
    return { secret, secret_hash: hashCredential(secret), wrapped_secret: null };
  }
  const { secret, key } = newSecretAccessKey();
  const wrapped = await wrapSecret(hierarchy, tenant, credential, key);
  return { secret, secret_hash: hashSecretAccessKey(secret), wrapped_secret: wrapped };
}

/** A service acts for one system, with keys of that system; the other roles are tied to neither. */
async function checkScope(
  { input, caller, facts }: Context<'credentials.issue'>,
  keys: readonly string[],
): Promise<void> {
  const tenant = tenantOf(caller);
  const { role, system } = input;
  if (role !== 'service') {
    if (system !== undefined || keys.length > 0)
      throw new OperationError('credential.scope', { field: '/keys' });
    return;
  }
  if (system === undefined) throw new OperationError('credential.scope', { field: '/system' });
  const exists = await facts.get(`system ${system}`, (snapshot) => systemExists(snapshot, tenant, system));
  if (!exists) throw new OperationError('system.unknown', { field: '/system' });
  if (keys.length === 0) throw new OperationError('credential.scope', { field: '/keys' });
  const known = await facts.get(`systems of ${keys.join()}`, (snapshot) => keysKnown(snapshot, tenant, keys));
  for (const [i, key] of keys.entries()) {
    const owner = known.get(key);
    if (owner === undefined) throw new OperationError('key.unknown', { field: `/keys/${i}` });
    if (owner !== system) throw new OperationError('key.foreign_system', { field: `/keys/${i}` });
  }
}

export async function list(hierarchy: Hierarchy, { caller, facts }: Context<'credentials.list'>) {
  const rowKey = await hierarchy.rowKey(caller.log.tenant);
  const found = await facts.read((snapshot) => store.listCredentials(snapshot, rowKey, caller.log.id));
  return { credentials: found.map(({ row, keys }) => view(row, keys)) };
}

export async function revoke(
  hierarchy: Hierarchy,
  { input, caller, record, payload }: Context<'credentials.revoke'>,
): Promise<Apply<'credentials.revoke'>> {
  const rowKey = await hierarchy.rowKey(caller.log.tenant);
  record.credential = input.credential;
  return async (tx) => {
    const found = await store.findCredential(tx, rowKey, caller.log.id, input.credential);
    if (found === undefined) throw new OperationError('credential.unknown', { field: '/credential' });
    if (found.row.role === 'custodian' && found.row.state === 'active') {
      const others = await store.countActive(tx, caller.log.id, 'custodian');
      if (others <= 1) throw new OperationError('credential.last_custodian', { field: '/credential' });
    }
    payload['old'] = { state: found.row.state };
    record.state = 'revoked';
    if (found.row.system !== null) record.system = found.row.system;
    await store.revokeCredential(tx, rowKey, found.row);
    return view({ ...found.row, state: 'revoked' }, found.keys);
  };
}

function view(row: Omit<NamedCredential['row'], 'seal'>, keys: ReadonlySet<string>): CredentialView {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    system: row.system,
    keys: [...keys],
    accessKey: row.wrapped_secret === null ? null : accessKeyId(row.id),
    state: row.state,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}
