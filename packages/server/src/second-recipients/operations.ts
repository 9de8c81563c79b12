import { maxSecondRecipients } from '@trialkeep/contract';
import type { OperationId, Operations, Output } from '@trialkeep/contract';
import { CryptoError, parseEscrowRecipient } from '@trialkeep/crypto';
import type { Hierarchy } from '../keys/index.ts';
import { systemExists } from '../keys/index.ts';
import type { Profile } from '../platform/config.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context, Implementations } from '../platform/implementation.ts';
import { studyExists } from '../systems/index.ts';
import * as store from './store.ts';
import type { UnsealedRecipient } from './store.ts';

export type SecondRecipientOperationId = Extract<OperationId, `second-recipients.${string}`>;
type View = Output<Operations['second-recipients.register']>;

export interface SecondRecipientParts {
  readonly hierarchy: Hierarchy;
  readonly profile: Profile;
}

/** Binds the operations on second recipients to their behaviour. */
export function secondRecipientImplementations(
  parts: SecondRecipientParts,
): Implementations<SecondRecipientOperationId> {
  return {
    'second-recipients.register': (context) => register(parts, context),
    'second-recipients.remove': (context) => remove(parts, context),
    'second-recipients.list': async ({ caller, facts }) => {
      const tenant = tenantOf(caller);
      const rowKey = await parts.hierarchy.rowKey(tenant);
      const rows = await facts.read((snapshot) => store.list(snapshot, rowKey, tenant));
      return { recipients: await Promise.all(rows.map(view)) };
    },
  };
}

async function view(row: UnsealedRecipient): Promise<View> {
  const { id, name, study, system, covers, state, file } = row;
  const recipientId = file === '' ? null : (await parseEscrowRecipient(file)).id;
  return { id, name, recipientId, study, system, covers, state, registeredAt: row.registered_at };
}

/** The public file, whose own signature holds. Whose it is the people compare who approve. @throws OperationError `second_recipient.key_invalid` */
async function read(file: string, profile: Profile) {
  const field = '/recipient';
  try {
    const part = await parseEscrowRecipient(file);
    if (profile === 'regulated' && part.suite !== 'mlkem768-p256') {
      const detail = 'The regulated profile wants a key that was made with --profile regulated.';
      throw new OperationError('second_recipient.key_invalid', { field, detail });
    }
    return part;
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new OperationError('second_recipient.key_invalid', { field, cause: error });
  }
}

async function register(
  { hierarchy, profile }: SecondRecipientParts,
  context: Context<'second-recipients.register'>,
): Promise<Apply<'second-recipients.register'>> {
  const { input, caller, facts, record, payload } = context;
  const tenant = tenantOf(caller);
  const { name, recipient: file, covers, study, system } = input;
  const id = newId();
  Object.assign(record, {
    recipients: [id],
    reason: covers,
    ...(study !== undefined && { study }),
    ...(system !== undefined && { system }),
  });
  const part = await read(file, profile);
  payload['recipientId'] = part.id;
  await facts.read(async (snapshot) => {
    if (study !== undefined && !(await studyExists(snapshot, tenant, study)))
      throw new OperationError('study.unknown', { field: '/study' });
    if (system !== undefined && !(await systemExists(snapshot, tenant, system)))
      throw new OperationError('system.unknown', { field: '/system' });
  });
  const rowKey = await hierarchy.rowKey(tenant);
  const row: UnsealedRecipient = {
    id,
    tenant,
    name,
    study: study ?? null,
    system: system ?? null,
    covers,
    file,
    state: 'registered',
    registered_at: 0,
    changed_at: 0,
  };
  const answer = await view(row);
  return async (tx, time) => {
    const rows = await store.list(tx, rowKey, tenant);
    if (rows.filter(({ state }) => state !== 'removed').length >= maxSecondRecipients) {
      throw new OperationError('second_recipient.too_many');
    }
    await store.insert(tx, rowKey, { ...row, registered_at: time, changed_at: time });
    record.state = 'registered';
    return { ...answer, registeredAt: time };
  };
}

async function remove(
  { hierarchy }: SecondRecipientParts,
  { input, caller, facts, record, payload }: Context<'second-recipients.remove'>,
): Promise<Apply<'second-recipients.remove'>> {
  const tenant = tenantOf(caller);
  record.recipients = [input.recipient];
  const rowKey = await hierarchy.rowKey(tenant);
  const admitted = (row: store.RecipientRow | undefined): store.RecipientRow => {
    if (row === undefined) throw new OperationError('second_recipient.unknown', { field: '/recipient' });
    if (row.state === 'removed')
      throw new OperationError('second_recipient.removed', { field: '/recipient' });
    return row;
  };
  const known = admitted(
    await facts.read((snapshot) => store.find(snapshot, rowKey, tenant, input.recipient)),
  );
  const answer = await view(known);
  return async (tx, time) => {
    const { seal: _, ...row } = admitted(await store.find(tx, rowKey, tenant, input.recipient));
    await store.setState(tx, rowKey, row, 'removed', time);
    payload['old'] = { state: row.state, name: row.name };
    Object.assign(record, {
      state: 'removed',
      ...(row.study !== null && { study: row.study }),
      ...(row.system !== null && { system: row.system }),
    });
    return { ...answer, state: 'removed' as const };
  };
}
