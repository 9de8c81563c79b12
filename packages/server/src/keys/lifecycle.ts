import type { Operations, Input } from '@trialkeep/contract';
import { OperationError } from '../platform/errors.ts';
import type { Profile } from '../platform/config.ts';
import { newId } from '../platform/ids.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { changeKey, move } from './change.ts';
import type { KeyChange, LifecycleParts } from './change.ts';
import { revokeRow } from './end.ts';
import { chooseKind, isImportable } from './kind.ts';
import { chooseProtection } from './protection.ts';
import type { ProtectionPolicy } from './protection.ts';
import { keepVersion, newVersion } from './resident.ts';
import { addVersion, cancelRotation, nextRotation, scheduleRotation } from './rotation.ts';
import { recordedKey } from './recorded-key.ts';
import { policyDays } from './rotation-policy-store.ts';
import { stateAt } from './states.ts';
import * as store from './store.ts';
import { keyView } from './view.ts';

/** Generates a key for a system, with its first version. */
export async function create(
  parts: LifecycleParts & { readonly profile: Profile; readonly protection: ProtectionPolicy },
  context: Context<'keys.create'>,
): Promise<Apply<'keys.create'>> {
  const { input, now, record } = context;
  const tenant = tenantOf(context.caller);
  record.system = input.system;
  if (input.useLogged === true) record.useLogged = true;
  if (input.recipientPeriodDays !== undefined) record.recipientPeriodDays = input.recipientPeriodDays;
  checkDates(input, now);
  const kind = await kindOf(parts, context);
  // What an HSM holds does not leave it; nor does what nobody else takes.
  const canLeave = kind.protection === 'software' && isImportable(kind.algorithm);
  if (input.exportable === true && !canLeave)
    throw new OperationError('key.not_exportable', { field: '/exportable' });
  const [{ id, version }, rowKey, naming] = await Promise.all([
    // Making an RSA key takes long.
    context.once(async () => {
      const id = newId();
      return { id, version: await newVersion(parts, tenant, id, kind) };
    }),
    parts.hierarchy.rowKey(tenant),
    parts.naming(tenant),
  ]);
  return async (tx, time) => {
    const { rotationPeriodDays } = input;
    const row: KeyChange = {
      id,
      tenant,
      system: input.system,
      description: input.description ?? '',
      ...kind,
      state: 'active',
      version: 1,
      created_at: time,
      activates_at: input.activatesAt ?? null,
      expires_at: input.expiresAt ?? null,
      rotation_period_days: rotationPeriodDays ?? (await policyDays(tx, rowKey, tenant)),
      own_rotation: rotationPeriodDays === undefined ? 0 : 1,
      rotation_due_at: 0,
      recipient_period_days: input.recipientPeriodDays ?? null,
      revocation_cause: null,
      revoked_at: null,
      use_logged: input.useLogged === true ? 1 : 0,
      destruction_due_at: null,
      imported: 0,
      exportable: input.exportable === true ? 1 : 0,
    };
    row.rotation_due_at = nextRotation(time, row);
    await store.insertKey(tx, rowKey, row);
    await store.insertVersion(tx, rowKey, {
      id: version.versionId,
      key: id,
      version: 1,
      wrapped_secret: version.wrapped,
      public_key: version.publicKey ?? null,
      token: version.token ?? null,
      created_at: time,
    });
    await keepVersion(tx, version, time);
    await scheduleRotation(tx, row);
    context.payload['inventory'] = recordedKey(row);
    record.key = id;
    record.version = 1;
    record.state = stateAt(row, time);
    return keyView(row, naming, time);
  };
}

/** What the key is, and where: as its system's type demands. */
async function kindOf(
  parts: { readonly profile: Profile; readonly protection: ProtectionPolicy },
  { input, caller, facts }: Context<'keys.create'>,
) {
  const type = await facts.get(`type of system ${input.system}`, (snapshot) =>
    store.systemType(snapshot, tenantOf(caller), input.system),
  );
  if (type === undefined) throw new OperationError('system.unknown', { field: '/system' });
  const kind = chooseKind(parts.profile, input);
  return { ...kind, protection: chooseProtection(parts.protection, kind, type, input.protection) };
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
  const { key } = context.input;
  context.record.key = key;
  const rowKey = await parts.hierarchy.rowKey(tenant);
  const kind = await context.facts.read((snapshot) => store.findKey(snapshot, rowKey, tenant, key));
  if (kind === undefined) throw new OperationError('key.unknown', { field: '/key' });
  if (kind.imported === 1) throw new OperationError('key.imported', { field: '/key' });
  // What is made in an HSM for nothing has to be removed again.
  if (kind.protection === 'hsm' && stateAt(kind, context.now) !== 'active')
    throw new OperationError('key.transition_undefined', { field: '/key' });
  const version = await context.once(() => newVersion(parts, tenant, key, kind));
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
    revokeRow(row, cause, time);
    await cancelRotation(tx, row.id);
  });
}
