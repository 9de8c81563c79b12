import { sealCompact, randomId } from '@trialkeep/crypto';
import type { OperationId, Operations, Output } from '@trialkeep/contract';
import { beginEffect } from '../effects/index.ts';
import type { HoldCheck } from '../holds/index.ts';
import { findStudyErasure } from '../keys/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context, Implementations } from '../platform/implementation.ts';
import * as store from './store.ts';

export type RegistryOperationId = Exclude<
  Extract<OperationId, `${'studies' | 'systems' | 'subjects'}.${string}`>,
  'studies.erase' | 'studies.cancel-erasure'
>;

export interface RegistryParts {
  readonly hierarchy: Hierarchy;
  readonly holds: Pick<HoldCheck, 'ofSubject'>;
  /** Has due jobs looked for at once. */
  wake(): void;
}

const subjectsPerPage = 1000;
/** Binds a subject's number to the field that holds it. */
const numberContext = { 'trialkeep:field': 'subject.number' };

/** Binds the operations on studies, systems and subjects to their behaviour. */
export function registryImplementations({
  hierarchy,
  holds,
  wake,
}: RegistryParts): Implementations<RegistryOperationId> {
  return {
    'studies.create': (context) => createStudy(hierarchy, context),
    'studies.list': async ({ caller, facts }) => {
      const rows = await facts.read((snapshot) => store.listStudies(snapshot, tenantOf(caller)));
      return { studies: rows.map(studyView) };
    },
    'systems.create': async (context) => createSystem(context),
    'systems.list': async ({ caller, facts }) => {
      const rows = await facts.read((snapshot) => store.listSystems(snapshot, tenantOf(caller)));
      return { systems: rows.map(systemView) };
    },
    'subjects.create': (context) => createSubject(hierarchy, context),
    'subjects.list': (context) => listSubjects(context),
    'subjects.erase': (context) => eraseSubject({ hierarchy, holds, wake }, context),
  };
}

function studyView({
  id,
  protocol,
  title,
  created_at,
  state,
}: store.StudyRow & Pick<store.StatedStudyRow, 'state'>): Output<Operations['studies.create']> {
  const erasing = state === null || state === 'cancelled' ? 'active' : state;
  return { id, protocol, title, createdAt: created_at, state: erasing };
}

function systemView({
  id,
  name,
  type,
  vendor,
  created_at,
}: store.SystemRow): Output<Operations['systems.create']> {
  return {
    id,
    name,
    type: type as Output<Operations['systems.create']>['type'],
    vendor,
    createdAt: created_at,
  };
}

async function createStudy(
  hierarchy: Hierarchy,
  { input, caller, record, facts }: Context<'studies.create'>,
): Promise<Apply<'studies.create'>> {
  const tenant = tenantOf(caller);
  const taken = await facts.read((snapshot) => store.protocolTaken(snapshot, tenant, input.protocol));
  if (taken) throw new OperationError('study.exists', { field: '/protocol' });
  const id = newId();
  await hierarchy.createShreddable(tenant, 'study', id);
  record.study = id;
  return async (tx, time) => {
    const row = {
      id,
      tenant,
      protocol: input.protocol,
      title: input.title ?? input.protocol,
      created_at: time,
    };
    await store.insertStudy(tx, row);
    return studyView({ ...row, state: null });
  };
}

async function createSystem({
  input,
  caller,
  record,
}: Context<'systems.create'>): Promise<Apply<'systems.create'>> {
  const tenant = tenantOf(caller);
  const id = newId();
  record.system = id;
  return async (tx, time) => {
    const row = { id, tenant, name: input.name, type: input.type, vendor: input.vendor, created_at: time };
    await store.insertSystem(tx, row);
    return systemView(row);
  };
}

/** Only the alias leaves: the site's number is readable under the subject's key alone, and is in no entry. */
async function createSubject(
  hierarchy: Hierarchy,
  { input, caller, record, facts }: Context<'subjects.create'>,
): Promise<Apply<'subjects.create'>> {
  const tenant = tenantOf(caller);
  await knownStudy(tenant, input.study, facts);
  record.study = input.study;
  const rowKey = await hierarchy.rowKey(tenant);
  const refuseErased = async (tx: Tx): Promise<void> => {
    const erasure = await findStudyErasure(tx, rowKey, tenant, input.study);
    if (erasure === undefined || erasure.state === 'cancelled') return;
    throw new OperationError('study.erasing', { field: '/study', detail: `It is ${erasure.state}.` });
  };
  await facts.read(refuseErased);
  const alias = randomId().toString('hex');
  const key = await hierarchy.createShreddable(tenant, 'subject', alias);
  const plaintext = Buffer.from(input.number, 'utf8');
  const number_ciphertext = sealCompact({ ...key, context: numberContext, plaintext });
  plaintext.fill(0);
  record.subject = alias;
  return async (tx, time) => {
    await refuseErased(tx);
    await store.insertSubject(tx, { tenant, study: input.study, alias, number_ciphertext, created_at: time });
    return { alias, study: input.study, createdAt: time, state: 'active' };
  };
}

/**
 * Means, with this change, that the subject's key goes from the shred store; a job does it (effects/). The payload of the entry
 * is not sealed under the key that goes: it says why.
 */
async function eraseSubject(
  { hierarchy, holds, wake }: RegistryParts,
  context: Context<'subjects.erase'>,
): Promise<Apply<'subjects.erase'>> {
  const { input, caller, facts, now, record, afterCommit } = context;
  const tenant = tenantOf(caller);
  const { study, alias } = input;
  await knownStudy(tenant, study, facts);
  record.study = study;
  record.subject = alias;
  context.payloadUnder = 'log';
  const known = await facts.read((snapshot) => store.findSubject(snapshot, study, alias));
  if (known?.state !== 'active') throw new OperationError('subject.unknown', { field: '/alias' });
  const [rowKey, heldIn] = await Promise.all([
    hierarchy.rowKey(tenant),
    holds.ofSubject(tenant, study, alias),
  ]);
  const refuseHeld = async (tx: Tx, time: number): Promise<void> => {
    const hold = await heldIn(tx, time);
    if (hold === undefined) return;
    record.hold = hold;
    throw new OperationError('hold.applies', { field: '/alias', detail: `It is hold ${hold}.` });
  };
  await facts.read((snapshot) => refuseHeld(snapshot, now));
  afterCommit.push(async () => wake());
  return async (tx, time) => {
    await refuseHeld(tx, time);
    if (!(await store.beginErasure(tx, study, alias))) {
      throw new OperationError('subject.unknown', { field: '/alias' });
    }
    const removal = { tenant, study, subject: alias };
    await beginEffect(tx, { rowKey, log: caller.log.id, kind: 'shred.remove', input: removal, time });
    record.state = 'erasing';
    return { alias, study, createdAt: known.created_at, state: 'erasing' };
  };
}

async function listSubjects({ input, caller, facts, record }: Context<'subjects.list'>) {
  await knownStudy(tenantOf(caller), input.study, facts);
  record.study = input.study;
  const after = input.cursor ?? '';
  const rows = await facts.read((snapshot) =>
    store.listSubjects(snapshot, input.study, after, subjectsPerPage),
  );
  const last = rows.at(-1);
  return {
    subjects: rows.map(({ alias, study, created_at, state }) => ({
      alias,
      study,
      createdAt: created_at,
      state,
    })),
    next: rows.length === subjectsPerPage && last !== undefined ? last.alias : null,
  };
}

async function knownStudy(
  tenant: string,
  study: string,
  facts: Context<'subjects.list'>['facts'],
): Promise<void> {
  const exists = await facts.get(`study ${study}`, (snapshot) => store.studyExists(snapshot, tenant, study));
  if (!exists) throw new OperationError('study.unknown', { field: '/study' });
}
