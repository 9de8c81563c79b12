import { createHash, timingSafeEqual } from 'node:crypto';
import type { OperationId, Operations, Output } from '@trialkeep/contract';
import { CryptoError, firstOpened, isExitReceipt, parseEscrowRecipient } from '@trialkeep/crypto';
import type { EscrowRecipient } from '@trialkeep/crypto';
import type { Ledger } from '../audit/index.ts';
import type { HoldCheck } from '../holds/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Profile } from '../platform/config.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { idBytes, newId } from '../platform/ids.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context, Implementations } from '../platform/implementation.ts';
import { copyPage } from './copy.ts';
import { exitIn } from './exit-in.ts';
import { atStart } from './pages.ts';
import { cancelShredding, scheduleShredding } from './schedule.ts';
import * as store from './store.ts';
import type { Exit } from './store.ts';

export type ExitOperationId = Extract<
  OperationId,
  `tenants.${'exit' | 'exit-state' | 'copy-exit' | 'confirm-exit' | 'shred' | 'cancel-exit'}`
>;

export interface ExitParts {
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly holds: Pick<HoldCheck, 'ofTenant'>;
  readonly profile: Profile;
}

const defaultWaitingDays = 30;
const dayMs = 86_400_000;

/** Binds the leaving of tenants to its behaviour: a copy out, confirmed by who gets it, and only then the end of the keys. */
export function exitImplementations(parts: ExitParts): Implementations<ExitOperationId> {
  return {
    'tenants.exit': (context) => begin(parts, context),
    'tenants.exit-state': async ({ caller, facts }) => {
      const tenant = tenantOf(caller);
      const rowKey = await parts.hierarchy.rowKey(tenant);
      const row = await facts.read((tx) => store.find(tx, rowKey, tenant));
      if (row === undefined) throw new OperationError('exit.unknown');
      return exitView(row, (await recipientOf(row.recipient)).id);
    },
    'tenants.copy-exit': (context) => copyPage(parts, context),
    'tenants.confirm-exit': (context) => confirm(parts, context),
    'tenants.shred': (context) => shred(parts, context),
    'tenants.cancel-exit': (context) => cancel(parts, context),
  };
}

function exitView(row: Exit, recipient: string): Output<Operations['tenants.exit']> {
  const { id: exit, state, uses, pages, manifest, due_at: dueAt, changed_at: changedAt } = row;
  return { exit, state, uses, recipient, pages, manifest, dueAt, changedAt };
}

/** @throws OperationError `exit.recipient_invalid` */
async function recipientOf(file: string): Promise<EscrowRecipient> {
  try {
    return await parseEscrowRecipient(file);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new OperationError('exit.recipient_invalid', { field: '/recipient', cause: error });
  }
}

/** States in which another exit may begin. */
function isOver(row: Exit | undefined): boolean {
  return row === undefined || row.state === 'cancelled';
}

async function begin(
  { hierarchy, profile }: ExitParts,
  context: Context<'tenants.exit'>,
): Promise<Apply<'tenants.exit'>> {
  const { input, caller, facts, record, payload } = context;
  const tenant = tenantOf(caller);
  const { id: recipient, suite } = await recipientOf(input.recipient);
  if (profile === 'regulated' && suite !== 'mlkem768-p256') {
    throw new OperationError('exit.recipient_invalid', { field: '/recipient', detail: `It is ${suite}.` });
  }
  const rowKey = await hierarchy.rowKey(tenant);
  const admit = async (tx: Tx): Promise<Exit | undefined> => {
    const known = await store.find(tx, rowKey, tenant);
    if (!isOver(known)) throw new OperationError('exit.state', { detail: `It is ${known?.state}.` });
    return known;
  };
  await facts.read(admit);
  const id = newId();
  return async (tx, time) => {
    if ((await admit(tx)) !== undefined) await store.deletePages(tx, tenant);
    const row: Exit = {
      tenant,
      id,
      state: 'copying',
      uses: input.uses ?? 'process',
      recipient: input.recipient,
      pages: 0,
      progress: JSON.stringify(atStart),
      opened: firstOpened(idBytes(id)).toString('hex'),
      manifest: null,
      due_at: null,
      changed_at: time,
    };
    await store.put(tx, rowKey, row);
    Object.assign(payload, { exit: id, escrow: recipient });
    record.state = row.state;
    return exitView(row, recipient);
  };
}

async function confirm(
  { hierarchy }: ExitParts,
  context: Context<'tenants.confirm-exit'>,
): Promise<Apply<'tenants.confirm-exit'>> {
  const { input, caller, facts, record } = context;
  const rowKey = await hierarchy.rowKey(tenantOf(caller));
  const known = await facts.read((tx) => exitIn(tx, rowKey, context, ['copied']));
  const recipient = await recipientOf(known.recipient);
  requireReceipt(known, recipient, input);
  return async (tx, time) => {
    const row = await exitIn(tx, rowKey, context, ['copied']);
    requireReceipt(row, recipient, input);
    const confirmed: Exit = { ...row, state: 'confirmed', changed_at: time };
    await store.put(tx, rowKey, confirmed);
    record.state = confirmed.state;
    record.hash = createHash('sha256').update(input.opened).update(input.signature).digest('hex');
    return exitView(confirmed, recipient.id);
  };
}

/** The receipt is of this copy, and of this recipient. @throws OperationError `exit.receipt_wrong` */
function requireReceipt(
  { id, opened, manifest }: Exit,
  { verificationKey }: EscrowRecipient,
  said: { readonly opened: string; readonly signature: string },
): void {
  const [expected, given] = [Buffer.from(opened, 'hex'), Buffer.from(said.opened, 'hex')];
  const isOfPages = expected.length === given.length && timingSafeEqual(expected, given);
  const receipt = { exit: idBytes(id), manifestHash: Buffer.from(manifest ?? '', 'hex'), opened: given };
  const isRight =
    isOfPages &&
    manifest !== null &&
    isExitReceipt(verificationKey, receipt, Buffer.from(said.signature, 'base64'));
  if (!isRight) throw new OperationError('exit.receipt_wrong', { field: '/opened' });
}

async function shred(
  { hierarchy, holds }: ExitParts,
  context: Context<'tenants.shred'>,
): Promise<Apply<'tenants.shred'>> {
  const { input, caller, facts, now, record } = context;
  const tenant = tenantOf(caller);
  const [rowKey, heldIn] = await Promise.all([hierarchy.rowKey(tenant), holds.ofTenant(tenant)]);
  const admit = async (tx: Tx, time: number): Promise<Exit> => {
    const row = await exitIn(tx, rowKey, context, ['confirmed']);
    const hold = await heldIn(tx, time);
    if (hold === undefined) return row;
    record.hold = hold;
    throw new OperationError('hold.applies', { detail: `It is hold ${hold}.` });
  };
  const { recipient } = await facts.read((tx) => admit(tx, now));
  const { id } = await recipientOf(recipient);
  return async (tx, time) => {
    const row = await admit(tx, time);
    const dueAt = time + (input.waitingDays ?? defaultWaitingDays) * dayMs;
    const waiting: Exit = { ...row, state: 'waiting', due_at: dueAt, changed_at: time };
    await store.put(tx, rowKey, waiting);
    await scheduleShredding(tx, tenant, dueAt);
    Object.assign(record, { state: waiting.state, dueAt });
    return exitView(waiting, id);
  };
}

async function cancel(
  { hierarchy }: ExitParts,
  context: Context<'tenants.cancel-exit'>,
): Promise<Apply<'tenants.cancel-exit'>> {
  const { caller, facts, record, payload } = context;
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  const before = ['copying', 'copied', 'confirmed', 'waiting'] as const;
  const { recipient } = await facts.read((tx) => exitIn(tx, rowKey, context, before));
  const { id } = await recipientOf(recipient);
  return async (tx, time) => {
    const row = await exitIn(tx, rowKey, context, before);
    payload['old'] = { state: row.state, dueAt: row.due_at };
    const cancelled: Exit = { ...row, state: 'cancelled', due_at: null, changed_at: time };
    await store.put(tx, rowKey, cancelled);
    await cancelShredding(tx, tenant);
    record.state = cancelled.state;
    return exitView(cancelled, id);
  };
}
