import type { KeyObject } from 'node:crypto';
import { exportedDays, transferWrap } from '@trialkeep/contract';
import type { Operations, Output } from '@trialkeep/contract';
import { keyAlgorithm, wrapRsaAes } from '@trialkeep/crypto';
import { registerExport } from '../holders/index.ts';
import { findKey, fingerprintOf, listVersions, noteMaterial, stateAt } from '../keys/index.ts';
import type { Hierarchy, KeyRow, KeyVersion } from '../keys/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { schedule } from '../platform/jobs/index.ts';
import type { JobHandler } from '../platform/jobs/index.ts';
import { refuseSealed } from '../systems/index.ts';
import { fingerprintOfKey, readPublicKey } from './destinations.ts';
import * as store from './store.ts';
import type { DestinationRow, ExportRow } from './store.ts';

/** The task of the jobs that take away what was exported and waits to be fetched. */
export const exportEndTask = 'exports.end';

const dayMs = 86_400_000;

export interface ExportParts {
  readonly hierarchy: Hierarchy;
}

type ExportedView = Output<Operations['keys.export']>;

/** What is exported, and to whom. */
interface Admitted {
  readonly row: KeyRow;
  readonly version: KeyVersion;
  readonly destination: DestinationRow;
}

/** A version of a key, wrapped for its destination. */
interface Wrapped {
  readonly bytes: Buffer;
  /** Keyed, of the material. */
  readonly fingerprint: Buffer;
}

/**
 * Exports a version of a key to a destination, both as people have approved them. Nothing is unwrapped before they have; what is wrapped
 * then waits to be fetched.
 */
export async function exportKey(
  { hierarchy }: ExportParts,
  context: Context<'keys.export'>,
): Promise<Apply<'keys.export'>> {
  const { input, caller, record, facts, now } = context;
  const tenant = tenantOf(caller);
  const { key, destination, version, fingerprint } = input;
  Object.assign(record, { key, destination, version });
  const rowKey = await hierarchy.rowKey(tenant);
  await refuseSealed(hierarchy, context);
  // People are not asked to approve what cannot be done.
  const admitted = await facts.read((snapshot) => admit(snapshot, rowKey, context, now));
  record.system = admitted.row.system;
  const isApproved = caller.means.type === 'approval';
  const wrapped = isApproved ? await wrap(hierarchy, admitted) : undefined;
  return async (tx, time) => {
    // The gate runs this for what people have approved alone.
    if (wrapped === undefined) throw new OperationError('approval.needed');
    const { destination: to } = await admit(tx, rowKey, context, time);
    const id = newId();
    const row = {
      id,
      tenant,
      key,
      version,
      destination,
      fingerprint,
      wrapped: wrapped.bytes,
      exported_at: time,
      ends_at: time + exportedDays * dayMs,
    };
    await store.insertExport(tx, rowKey, row);
    await schedule(tx, {
      name: `${exportEndTask}/${id}`,
      task: exportEndTask,
      input: { export: id },
      dueAt: row.ends_at,
    });
    // Known from before where it was imported, or exported to somebody else.
    await noteMaterial(tx, wrapped.fingerprint);
    record.material = wrapped.fingerprint.toString('hex');
    const { id: log } = caller.log;
    const name = `${to.name} (SHA-256 of its key ${fingerprint})`;
    const place = { log, key, name, contact: to.contact, actor: caller.actor, time };
    record.holder = await registerExport(tx, rowKey, place);
    record.dueAt = row.ends_at;
    return view(row);
  };
}

/** @throws OperationError where the key, the version or the destination are not such that it may be */
async function admit(
  tx: Tx,
  rowKey: KeyObject,
  { input, caller }: Context<'keys.export'>,
  time: number,
): Promise<Admitted> {
  const tenant = tenantOf(caller);
  const row = await findKey(tx, rowKey, tenant, input.key);
  if (row === undefined) throw new OperationError('key.unknown', { field: '/key' });
  if (row.exportable !== 1 || row.protection === 'hsm') {
    throw new OperationError('key.not_exportable', { field: '/key' });
  }
  requireLeaving(row, time, '/key');
  const versions = await listVersions(tx, rowKey, row.id);
  const version = versions.find((one) => one.version === input.version);
  if (version === undefined) throw new OperationError('key.version_unknown', { field: '/version' });
  const destination = await store.findDestination(tx, rowKey, tenant, input.destination);
  if (destination === undefined) throw new OperationError('destination.unknown', { field: '/destination' });
  if (destination.state === 'retired')
    throw new OperationError('destination.retired', { field: '/destination' });
  if (destination.name !== input.destinationName || destination.fingerprint !== input.fingerprint) {
    throw new OperationError('destination.mismatch');
  }
  return { row, version, destination };
}

/** @throws OperationError where a key is not such that it may leave, as it is asked for and as long as it waits to be fetched */
function requireLeaving(row: KeyRow, time: number, field: '/key' | '/export'): void {
  if (row.destruction_due_at !== null) throw new OperationError('key.destruction_pending', { field });
  if (row.revoked_at !== null) throw new OperationError('key.revoked', { field });
  const state = stateAt(row, time);
  if (state !== 'active' && state !== 'deactivated') {
    throw new OperationError('key.unusable', { field, detail: `Its state is ${state}.` });
  }
}

/** The secret as it is of symmetric keys, PKCS #8 in DER of private ones (docs/formats/key-transfer.md). */
async function wrap(hierarchy: Hierarchy, { row, version, destination }: Admitted): Promise<Wrapped> {
  // The row is sealed by the fingerprint.
  if (fingerprintOfKey(destination.public_key) !== destination.fingerprint) {
    throw new OperationError('server.data_altered');
  }
  const secret = await hierarchy.systemSecret(row.tenant, row, version.id);
  if (secret === undefined) throw new OperationError('key.unusable', { field: '/key' });
  const { publicKey } = readPublicKey(destination.public_key);
  const { public_key: own } = version;
  const material = { secret, ...(own !== null && { publicKey: own }) };
  const fingerprint = await fingerprintOf(hierarchy, row.algorithm, material);
  const isSymmetric = keyAlgorithm(row.algorithm).secret.form === 'symmetric';
  const bytes = isSymmetric ? secret.export() : secret.export({ format: 'der', type: 'pkcs8' });
  try {
    return { bytes: wrapRsaAes(publicKey, bytes), fingerprint };
  } finally {
    bytes.fill(0);
  }
}

function view(row: Omit<ExportRow, 'seal'>): ExportedView {
  const { id, key, version, destination, fingerprint, exported_at: exportedAt, ends_at: expiresAt } = row;
  return { id, key, version, destination, fingerprint, exportedAt, expiresAt };
}

export async function list(
  { hierarchy }: ExportParts,
  { caller, facts, now }: Context<'exports.list'>,
): Promise<{ exports: ExportedView[] }> {
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  const rows = await facts.read((snapshot) => store.listExports(snapshot, rowKey, tenant, { after: now }));
  return { exports: rows.map(view) };
}

/** What waits, while its key and its destination are still such that it would be exported; the gate has asked for the tenant's seal. */
export async function fetch(
  { hierarchy }: ExportParts,
  { input, caller, facts, now, record }: Context<'exports.fetch'>,
): Promise<Output<Operations['exports.fetch']>> {
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  const found = await facts.read(async (snapshot) => {
    const [row] = await store.listExports(snapshot, rowKey, tenant, { after: now, id: input.export });
    if (row === undefined) throw new OperationError('export.unknown', { field: '/export' });
    const key = await findKey(snapshot, rowKey, tenant, row.key);
    const destination = await store.findDestination(snapshot, rowKey, tenant, row.destination);
    if (key === undefined || destination === undefined) throw new Error(`Export ${row.id} is of nothing.`);
    return { row, key, destination };
  });
  const { row, key, destination } = found;
  Object.assign(record, { key: key.id, system: key.system, version: row.version });
  Object.assign(record, { destination: destination.id, hash: row.fingerprint });
  requireLeaving(key, now, '/export');
  if (destination.state === 'retired') throw new OperationError('destination.retired', { field: '/export' });
  return {
    ...view(row),
    destinationName: destination.name,
    algorithm: key.algorithm as Output<Operations['exports.fetch']>['algorithm'],
    purpose: key.purpose,
    wrap: transferWrap,
    wrapped: Buffer.from(row.wrapped).toString('base64'),
  };
}

/** Takes away what was not fetched in time; the entry of the export said when. */
export function exportEndHandler({ database }: { readonly database: Database }): JobHandler {
  return async (job) => {
    await database.write(async (tx) => {
      await store.removeEnded(tx, String(job.input['export']), job.beganAt);
      await job.complete(tx);
    });
  };
}
