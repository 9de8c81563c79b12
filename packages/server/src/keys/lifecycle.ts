import type { Operations, Input } from '@trialkeep/contract';
import { OperationError } from '../platform/errors.ts';
import type { Tx } from '../platform/database.ts';
import { newId } from '../platform/ids.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import type { Hierarchy } from './hierarchy.ts';
import { addVersion, cancelRotation, nextRotation, scheduleRotation } from './rotation.ts';
import type { KeyEvent } from './states.ts';
import { nextState, stateAt } from './states.ts';
import * as store from './store.ts';
import type { KeyRow } from './store.ts';
import { keyView } from './view.ts';
import type { KeyNaming, KeyView } from './view.ts';

const defaultRotationPeriodDays = 90;
/** Causes after which the key material itself is no longer trusted. */
const compromisingCauses: ReadonlySet<string> = new Set(['device-compromise', 'breach']);

/** What the lifecycle needs to know of the installation. */
export interface LifecycleParts {
  readonly hierarchy: Hierarchy;
  naming(tenant: string): Promise<KeyNaming>;
}

type KeyChange = Omit<KeyRow, 'seal'>;

/** Generates a key for a system, with its first version. */
export async function create(
  parts: LifecycleParts,
  context: Context<'keys.create'>,
): Promise<Apply<'keys.create'>> {
  const { input, now, record } = context;
  const tenant = tenantOf(context.caller);
  record.system = input.system;
  if (input.useLogged === true) record.useLogged = true;
  checkDates(input, now);
  const known = await context.facts.get(`system ${input.system}`, (snapshot) =>
    store.systemExists(snapshot, tenant, input.system),
  );
  if (!known) throw new OperationError('system.unknown', { field: '/system' });
  const id = newId();
  const [version, rowKey, naming] = await Promise.all([
    parts.hierarchy.newSystemKeyVersion(tenant, id),
    parts.hierarchy.rowKey(tenant),
    parts.naming(tenant),
  ]);
  const rotationPeriodDays = input.rotationPeriodDays ?? defaultRotationPeriodDays;
  return async (tx, time) => {
    const row: KeyChange = {
      id,
      tenant,
      system: input.system,
      description: input.description ?? '',
      algorithm: input.algorithm ?? 'AES_256',
      purpose: 'encrypt',
      state: 'active',
      version: 1,
      created_at: time,
      activates_at: input.activatesAt ?? null,
      expires_at: input.expiresAt ?? null,
      rotation_period_days: rotationPeriodDays,
      rotation_due_at: nextRotation(time, rotationPeriodDays),
      revocation_cause: null,
      revoked_at: null,
      use_logged: input.useLogged === true ? 1 : 0,
    };
    await store.insertKey(tx, rowKey, row);
    await store.insertVersion(tx, rowKey, {
      id: version.versionId,
      key: id,
      version: 1,
      wrapped_secret: version.wrapped,
      created_at: time,
    });
    await scheduleRotation(tx, row);
    record.key = id;
    record.version = 1;
    record.state = stateAt(row, time);
    return keyView(row, naming, time);
  };
}

function checkDates({ activatesAt, expiresAt }: Input<Operations['keys.create']>, now: number): void {
  if (activatesAt !== undefined && activatesAt < now)
    throw new OperationError('date.past', { field: '/activatesAt' });
  if (expiresAt !== undefined && expiresAt <= now)
    throw new OperationError('date.past', { field: '/expiresAt' });
  if (expiresAt !== undefined && activatesAt !== undefined && expiresAt <= activatesAt) {
    throw new OperationError('date.order', { field: '/expiresAt' });
  }
}

/** Adds a version that protects from now on. Only an active key rotates. */
export async function rotate(
  parts: LifecycleParts,
  context: Context<'keys.rotate'>,
): Promise<Apply<'keys.rotate'>> {
  const tenant = tenantOf(context.caller);
  const version = await parts.hierarchy.newSystemKeyVersion(tenant, context.input.key);
  const rowKey = await parts.hierarchy.rowKey(tenant);
  return changeKey(parts, context, async (tx, row, time) => {
    if (stateAt(row, time) !== 'active')
      throw new OperationError('key.transition_undefined', { field: '/key' });
    context.payload['old'] = { version: row.version };
    await addVersion(tx, rowKey, row, version, time);
  });
}

export async function suspend(
  parts: LifecycleParts,
  context: Context<'keys.suspend'>,
): Promise<Apply<'keys.suspend'>> {
  return changeKey(parts, context, async (tx, row, time) => {
    move(row, 'suspend', time);
    await cancelRotation(tx, row.id);
  });
}

export async function resume(
  parts: LifecycleParts,
  context: Context<'keys.resume'>,
): Promise<Apply<'keys.resume'>> {
  return changeKey(parts, context, async (tx, row, time) => {
    move(row, 'resume', time);
    await scheduleRotation(tx, row);
  });
}

/** Ends a key for services for good; the first revocation's date and cause stay on it. */
export async function revoke(
  parts: LifecycleParts,
  context: Context<'keys.revoke'>,
): Promise<Apply<'keys.revoke'>> {
  const { cause } = context.input;
  context.record.reason = cause;
  return changeKey(parts, context, async (tx, row, time) => {
    move(row, compromisingCauses.has(cause) ? 'compromise' : 'revoke', time);
    row.revocation_cause ??= cause;
    row.revoked_at ??= time;
    await cancelRotation(tx, row.id);
  });
}

/** Ends a key that is out of use for good: what it protected does not open again, by whoever. */
export async function destroy(
  parts: LifecycleParts,
  context: Context<'keys.destroy'>,
): Promise<Apply<'keys.destroy'>> {
  const { input, facts, now } = context;
  const tenant = tenantOf(context.caller);
  const rowKey = await parts.hierarchy.rowKey(tenant);
  const apply = await changeKey(parts, context, async (tx, row, time) => {
    move(row, 'destroy', time);
    await store.destroySecrets(tx, row.id);
  });
  // People are not asked to approve what cannot be done.
  const present = await facts.read((snapshot) => store.findKey(snapshot, rowKey, tenant, input.key));
  if (present === undefined) throw new OperationError('key.unknown', { field: '/key' });
  move({ ...present }, 'destroy', now);
  context.afterCommit.push(async () => parts.hierarchy.releaseTenant(tenant));
  return apply;
}

function move(row: KeyChange, event: KeyEvent, time: number): void {
  const from = stateAt(row, time);
  const to = nextState(from, event);
  if (to === undefined) {
    throw new OperationError('key.transition_undefined', { field: '/key', detail: `Its state is ${from}.` });
  }
  row.state = to;
}

type ChangingKeys = 'keys.rotate' | 'keys.suspend' | 'keys.resume' | 'keys.revoke' | 'keys.destroy';

/** Reads the key inside the transaction, lets `change` alter it, and writes it back sealed. */
async function changeKey(
  parts: LifecycleParts,
  context: Context<ChangingKeys>,
  change: (tx: Tx, row: KeyChange, time: number) => Promise<void>,
): Promise<(tx: Tx, time: number) => Promise<KeyView>> {
  const { record, payload, input } = context;
  const tenant = tenantOf(context.caller);
  record.key = input.key;
  const [rowKey, naming] = await Promise.all([parts.hierarchy.rowKey(tenant), parts.naming(tenant)]);
  return async (tx, time) => {
    const row = await store.findKey(tx, rowKey, tenant, input.key);
    if (row === undefined) throw new OperationError('key.unknown', { field: '/key' });
    payload['old'] = { state: stateAt(row, time) };
    await change(tx, row, time);
    await store.updateKey(tx, rowKey, row);
    record.system = row.system;
    record.version = row.version;
    record.state = stateAt(row, time);
    return keyView(row, naming, time);
  };
}
