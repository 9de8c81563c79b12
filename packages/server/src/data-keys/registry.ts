import { createHash } from 'node:crypto';
import { maxRegisteredDataKeys } from '@trialkeep/contract';
import type { Input, Operations, Output } from '@trialkeep/contract';
import { CryptoError, compactKeyVersionId, encodeContext, openDataKeyLayer } from '@trialkeep/crypto';
import type { CompactKey } from '@trialkeep/crypto';
import { permitUse, processingWindow, recordContext, refuseClosedStudy } from '../keys/index.ts';
import type { KeyUse } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import { idOfBytes } from '../platform/ids.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context, Recorded } from '../platform/implementation.ts';
import { Pace } from '../platform/pace.ts';
import { refuseSealed } from '../systems/index.ts';
import { keyOf } from './parts.ts';
import type { DataKeyParts, KnownKey } from './parts.ts';
import * as store from './store.ts';
import type { DataKeyRow } from './store.ts';

const perPage = 1000;

type Registered = 'data-keys.register' | 'data-keys.current' | 'data-keys.forget';

/** The key, where the caller may use it so. */
async function permitted(
  parts: DataKeyParts,
  context: Context<Registered>,
  kind: KeyUse['kind'],
): Promise<KnownKey> {
  const { input, caller, record, validity, now } = context;
  record.key = input.key;
  await refuseSealed(parts.hierarchy, context);
  const [named, key] = await Promise.all([parts.keysOf(context), keyOf(parts, context, input.key)]);
  if (key !== undefined) record.system = key.row.system;
  const reason = 'reason' in input ? input.reason : undefined;
  validity.push(...permitUse(caller, named, key?.row, { kind, reason }, now));
  if (key === undefined) throw new OperationError('key.unknown', { field: '/key' });
  if (key.row.purpose !== 'encrypt') {
    const { algorithm, purpose } = key.row;
    const detail = `It is ${algorithm}, for ${purpose}.`;
    throw new OperationError('key.wrong_purpose', { field: '/key', detail });
  }
  return key;
}

/** A key into whose registry data keys are taken, with its versions unwrapped. */
interface OpenKey extends KnownKey {
  readonly compact: ReadonlyMap<string, CompactKey>;
}

/**
 * Takes wrapped data keys into the registry. Each is opened as far as the system's key goes, and no further: what would not open
 * after a rotation is refused now, and nobody learns a data key.
 */
export async function register(
  parts: DataKeyParts,
  context: Context<'data-keys.register'>,
): Promise<Apply<'data-keys.register'>> {
  const { caller, record, payload } = context;
  const key = await permitted(parts, context, 'protect');
  // Receipts name a data key by its wrapped form, which has to stay as it is.
  if (key.row.use_logged === 1) throw new OperationError('key.use_logged', { field: '/key' });
  const open = { ...key, compact: await compactKeys(parts, tenantOf(caller), key) };
  const rows = await checkAll(parts, context, open);
  const references = rows.map(({ reference }) => Buffer.from(reference).toString('hex'));
  record.hash = hashOf(rows);
  payload['count'] = rows.length;
  payload['first'] = references[0];
  // Rows of one statement must differ; the same data key twice is one.
  const distinct = [...new Map(rows.map((row, i) => [references[i], row])).values()];
  const oldest = Math.min(key.row.version, ...rows.map(({ version }) => version));
  return async (tx, time) => {
    const { registered = 0 } = (await store.findRegistry(tx, key.row.id)) ?? {};
    if (registered + distinct.length > maxRegisteredDataKeys) {
      throw new OperationError('data_keys.too_many', { field: '/dataKeys' });
    }
    const added = await store.insertDataKeys(
      tx,
      distinct.map((row) => ({ ...row, registered_at: time })),
    );
    if (added > 0) await store.countIn(tx, { key: key.row.id, log: caller.log.id, version: oldest }, added);
    return { references, added };
  };
}

async function compactKeys(
  { hierarchy }: DataKeyParts,
  tenant: string,
  { row, versions }: KnownKey,
): Promise<Map<string, CompactKey>> {
  const known = new Map<string, CompactKey>();
  for (const { id } of versions) {
    const version = await hierarchy.systemKeyVersion(tenant, row.id, id);
    if (version !== undefined) known.set(id, version);
  }
  return known;
}

/** SHA-256 over references, in order. */
function hashOf(rows: readonly Pick<DataKeyRow, 'reference'>[]): string {
  return createHash('sha256')
    .update(Buffer.concat(rows.map(({ reference }) => reference)))
    .digest('hex');
}

type NewRow = Omit<DataKeyRow, 'registered_at'>;
type Wrapped = Input<Operations['data-keys.register']>['dataKeys'][number];

/** The rows of all data keys of the request, in turns of the event loop. */
async function checkAll(
  parts: DataKeyParts,
  context: Context<'data-keys.register'>,
  key: OpenKey,
): Promise<NewRow[]> {
  const rows: NewRow[] = [];
  const pace = new Pace();
  const versions = new Set<number>();
  const studies = new Set<string>();
  let isOver = await pace.turn();
  for (const [i, dataKey] of context.input.dataKeys.entries()) {
    if (isOver()) isOver = await pace.turn();
    const named: Recorded = {};
    const row = await at(i, async () => {
      recordContext(dataKey.context ?? {}, named);
      if (named.study !== undefined && !studies.has(named.study)) {
        await refuseClosedStudy(parts.hierarchy, { ...context, record: named });
        studies.add(named.study);
      }
      return checked(dataKey, named, key);
    });
    rows.push(row);
    versions.add(row.version);
  }
  for (const version of versions) {
    context.validity.push(...processingWindow(context.caller, key, version, context.now));
  }
  return rows;
}

/** The row of a data key whose outer layer opens, and whose layers are those that its context asks for. */
function checked({ ciphertext, context = {} }: Wrapped, named: Recorded, key: OpenKey): NewRow {
  const wrapped = Buffer.from(ciphertext, 'base64');
  const invalid = (cause?: unknown): OperationError =>
    new OperationError('ciphertext.invalid', { field: '/ciphertext', cause });
  try {
    const id = idOfBytes(compactKeyVersionId(wrapped));
    const version = key.versions.find((each) => each.id === id);
    const compact = key.compact.get(id);
    if (version === undefined || compact === undefined) throw invalid();
    const layer = openDataKeyLayer({ ciphertext: wrapped, key: compact, context });
    layer.dataKey?.fill(0);
    if ((layer.inner === undefined) !== (named.study === undefined)) throw invalid();
    return {
      key: key.row.id,
      reference: createHash('sha256').update(wrapped).digest(),
      version: version.version,
      wrapped,
      context: encodeContext(context),
      subject: named.subject ?? null,
    };
  } catch (error) {
    if (error instanceof CryptoError) throw invalid(error);
    throw error;
  }
}

/** Says of a refusal which of the data keys it is about. */
async function at<T>(index: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    throw new OperationError(error.code, { field: `/dataKeys/${index}${error.field ?? ''}`, cause: error });
  }
}

const bytesOf = (references: readonly string[]): Buffer[] =>
  references.map((reference) => Buffer.from(reference, 'hex'));

/** Gives data keys as they are wrapped now. */
export async function current(
  parts: DataKeyParts,
  context: Context<'data-keys.current'>,
): Promise<Output<Operations['data-keys.current']>> {
  const { input, facts, payload } = context;
  const { row } = await permitted(parts, context, 'process');
  payload['count'] = input.references.length;
  const found = await facts.read((snapshot) =>
    store.findDataKeys(snapshot, row.id, bytesOf(input.references)),
  );
  const dataKeys = found.map(({ reference, wrapped, version }) => ({
    reference: Buffer.from(reference).toString('hex'),
    ciphertext: Buffer.from(wrapped).toString('base64'),
    version,
  }));
  return { dataKeys };
}

/** Takes data keys out of the registry. */
export async function forget(
  parts: DataKeyParts,
  context: Context<'data-keys.forget'>,
): Promise<Apply<'data-keys.forget'>> {
  const { input, payload, record } = context;
  const { row } = await permitted(parts, context, 'process');
  const references = bytesOf(input.references);
  record.hash = hashOf(references.map((reference) => ({ reference })));
  payload['count'] = references.length;
  return async (tx) => {
    const removed = await store.removeDataKeys(tx, row.id, references);
    if (removed > 0) await store.countOut(tx, row.id, removed);
    payload['removed'] = removed;
    return { removed };
  };
}

/** What is registered under a key, for whoever keeps it. */
export async function list(
  parts: DataKeyParts,
  context: Context<'data-keys.list'>,
): Promise<Output<Operations['data-keys.list']>> {
  const { input, facts, record } = context;
  record.key = input.key;
  const key = await keyOf(parts, context, input.key);
  if (key === undefined) throw new OperationError('key.unknown', { field: '/key' });
  record.system = key.row.system;
  if (input.cursor !== undefined && !/^[0-9a-f]{64}$/.test(input.cursor)) {
    throw new OperationError('request.invalid', { field: '/cursor' });
  }
  const behind = Buffer.from(input.cursor ?? '', 'hex');
  const { registered, rows } = await facts.read(async (snapshot) => ({
    registered: (await store.findRegistry(snapshot, input.key))?.registered ?? 0,
    rows: await store.pageOfDataKeys(snapshot, input.key, behind, perPage),
  }));
  const dataKeys = rows.map(({ reference, version, registered_at: registeredAt }) => ({
    reference: Buffer.from(reference).toString('hex'),
    version,
    registeredAt,
  }));
  const next = rows.length < perPage ? null : (dataKeys.at(-1)?.reference ?? null);
  return { registered, dataKeys, next };
}
