import { createHash } from 'node:crypto';
import {
  CryptoError,
  compactKeyVersionId,
  generateDataKey,
  openCompact,
  openDataKey,
  sealCompact,
  sealDataKey,
} from '@trialkeep/crypto';
import type { CompactKey } from '@trialkeep/crypto';
import type { EncryptionContext, Operations, Output } from '@trialkeep/contract';
import { OperationError } from '../platform/errors.ts';
import { idOfBytes } from '../platform/ids.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context, Recorded } from '../platform/implementation.ts';
import { contextKey, recordContext } from './context.ts';
import type { Hierarchy } from './hierarchy.ts';
import { permitUse } from './permit.ts';
import * as store from './store.ts';
import type { KeyRow, KeyVersion } from './store.ts';
import { keyArn } from './view.ts';
import type { KeyNaming } from './view.ts';

/** What using keys needs to know of the rest of the server. */
export interface UseParts {
  readonly hierarchy: Hierarchy;
  /** The keys that the credential names. */
  keysOf(context: Context<KeyUses>): Promise<ReadonlySet<string>>;
  naming(tenant: string): Promise<KeyNaming>;
}
export type KeyUses = 'keys.encrypt' | 'keys.decrypt' | 'keys.generate-data-key' | 'keys.decrypt-data-key';

interface PermittedKey {
  readonly tenant: string;
  readonly row: KeyRow;
  readonly versions: readonly KeyVersion[];
  readonly context: EncryptionContext;
}

/** Authorises the use of a key, and puts on the record what will be asked about it later. */
async function permitted(
  parts: UseParts,
  context: Context<KeyUses>,
  kind: 'protect' | 'process',
): Promise<PermittedKey> {
  const { input, facts, record, validity } = context;
  const tenant = tenantOf(context.caller);
  record.key = input.key;
  const encryptionContext = input.context ?? {};
  recordContext(encryptionContext, record);
  const rowKey = await parts.hierarchy.rowKey(tenant);
  const [named, key] = await Promise.all([
    parts.keysOf(context),
    facts.get(`key ${input.key}`, async (snapshot) => {
      const row = await store.findKey(snapshot, rowKey, tenant, input.key);
      return row && { row, versions: await store.listVersions(snapshot, rowKey, input.key) };
    }),
  ]);
  if (key !== undefined) record.system = key.row.system;
  const reason = 'reason' in input ? input.reason : undefined;
  validity.push(...permitUse(context.caller, named, key?.row, { kind, reason }, context.now));
  if (key === undefined) throw new OperationError('key.unknown', { field: '/key' });
  if (isUseLogged(key.row)) requireSubject(record);
  return { tenant, ...key, context: encryptionContext };
}

function isUseLogged(row: KeyRow): boolean {
  return row.use_logged === 1;
}

/** A data key of a use-logged key is bound, by its context, to one subject. */
function requireSubject(record: Recorded): void {
  record.useLogged = true;
  const missing = (['study', 'subject'] as const).find((name) => record[name] === undefined);
  if (missing !== undefined)
    throw new OperationError('context.subject_required', { field: `/context/${missing}` });
}

/** Names on the entry, where uses are reported, the data key that their receipts will name. */
function recordDataKey({ row }: PermittedKey, wrapped: Uint8Array, record: Recorded): void {
  if (isUseLogged(row)) record.dataKey = createHash('sha256').update(wrapped).digest('hex');
}

/** The version that protects at present. */
async function currentVersion(parts: UseParts, { tenant, row, versions }: PermittedKey): Promise<CompactKey> {
  const current = versions.find(({ version }) => version === row.version);
  const key = current && (await parts.hierarchy.systemKeyVersion(tenant, row.id, current.id));
  if (key === undefined) throw new Error(`Key ${row.id} has no version ${row.version}.`);
  return key;
}

/** The version that a ciphertext names; nothing of the ciphertext is authenticated yet. */
async function namedVersion(
  parts: UseParts,
  { tenant, row, versions }: PermittedKey,
  ciphertext: Uint8Array,
): Promise<{ key: CompactKey; version: number }> {
  const id = idOfBytes(compactKeyVersionId(ciphertext));
  const version = versions.find((candidate) => candidate.id === id);
  const key = version && (await parts.hierarchy.systemKeyVersion(tenant, row.id, version.id));
  if (version === undefined || key === undefined) throw invalidCiphertext();
  return { key, version: version.version };
}

function invalidCiphertext(cause?: unknown): OperationError {
  return new OperationError('ciphertext.invalid', { field: '/ciphertext', cause });
}

/** Whatever a ciphertext from outside does wrong is one error, which says nothing of the keys. */
async function opening<T>(open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof CryptoError) throw invalidCiphertext(error);
    throw error;
  }
}

/** Base64 for the answer; the bytes themselves are zeroed. */
function released(secret: Buffer): string {
  const text = secret.toString('base64');
  secret.fill(0);
  return text;
}

/**
 * The encrypt operation: the compact form under the key's current version. Where the context names a study or subject, what
 * is encrypted is itself the compact form under the study's or subject's key, so that losing either key forgets it.
 */
export async function encrypt(
  parts: UseParts,
  context: Context<'keys.encrypt'>,
): Promise<{ ciphertext: string; key: string; version: number }> {
  const key = await permitted(parts, context, 'protect');
  const inner = await contextKey(parts.hierarchy, context.facts, key.tenant, context.record);
  const outer = await currentVersion(parts, key);
  context.record.version = key.row.version;
  const plaintext = Buffer.from(context.input.plaintext, 'base64');
  try {
    const content = inner ? sealCompact({ ...inner, context: key.context, plaintext }) : plaintext;
    const ciphertext = sealCompact({ ...outer, context: key.context, plaintext: content });
    return { ciphertext: ciphertext.toString('base64'), key: key.row.id, version: key.row.version };
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'crypto.plaintext_too_long') {
      throw new OperationError('request.too_large', { field: '/plaintext' });
    }
    throw error;
  } finally {
    plaintext.fill(0);
  }
}

/** The decrypt operation. */
export async function decrypt(
  parts: UseParts,
  context: Context<'keys.decrypt'>,
): Promise<{ plaintext: string; key: string; version: number }> {
  const key = await permitted(parts, context, 'process');
  const inner = await contextKey(parts.hierarchy, context.facts, key.tenant, context.record);
  const ciphertext = Buffer.from(context.input.ciphertext, 'base64');
  return opening(async () => {
    const outer = await namedVersion(parts, key, ciphertext);
    context.record.version = outer.version;
    const content = openCompact({ ...outer.key, context: key.context, ciphertext });
    const plaintext = inner ? openCompact({ ...inner, context: key.context, ciphertext: content }) : content;
    return { plaintext: released(plaintext), key: key.row.id, version: outer.version };
  });
}

/** A fresh data key, in clear and wrapped. */
export async function generate(
  parts: UseParts,
  context: Context<'keys.generate-data-key'>,
): Promise<Output<Operations['keys.generate-data-key']>> {
  const key = await permitted(parts, context, 'protect');
  const inner = await contextKey(parts.hierarchy, context.facts, key.tenant, context.record);
  const [outer, naming] = await Promise.all([currentVersion(parts, key), parts.naming(key.tenant)]);
  context.record.version = key.row.version;
  const dataKey = generateDataKey();
  const wrapped = sealDataKey({ dataKey, outer, inner, context: key.context });
  recordDataKey(key, wrapped, context.record);
  return {
    plaintext: released(dataKey),
    ciphertext: wrapped.toString('base64'),
    key: key.row.id,
    arn: keyArn(naming, key.row.id),
    version: key.row.version,
    useLogged: isUseLogged(key.row),
  };
}

/** A data key out of its wrapped form. */
export async function release(
  parts: UseParts,
  context: Context<'keys.decrypt-data-key'>,
): Promise<Output<Operations['keys.decrypt-data-key']>> {
  const key = await permitted(parts, context, 'process');
  const inner = await contextKey(parts.hierarchy, context.facts, key.tenant, context.record);
  const ciphertext = Buffer.from(context.input.ciphertext, 'base64');
  return opening(async () => {
    const outer = await namedVersion(parts, key, ciphertext);
    context.record.version = outer.version;
    const dataKey = openDataKey({ ciphertext, outer: outer.key, inner, context: key.context });
    recordDataKey(key, ciphertext, context.record);
    const { id } = key.row;
    return {
      plaintext: released(dataKey),
      key: id,
      version: outer.version,
      useLogged: isUseLogged(key.row),
    };
  });
}
