import type { KeyObject } from 'node:crypto';
import { maxMessageBytes } from '@trialkeep/contract';
import type { EncryptionContext } from '@trialkeep/contract';
import { compactKeyVersionId, parsePublicKey } from '@trialkeep/crypto';
import type { CompactKey } from '@trialkeep/crypto';
import { OperationError } from '../platform/errors.ts';
import { idOfBytes } from '../platform/ids.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context, Recorded } from '../platform/implementation.ts';
import { refuseClosedStudy } from './closure.ts';
import { recordContext } from './context.ts';
import type { FurtherRecipients } from './further-recipients.ts';
import type { Hierarchy } from './hierarchy.ts';
import { permitUse, processingWindow } from './permit.ts';
import { isTaken, keyUsage } from './purposes.ts';
import type { KeyUsage, KeyUses } from './purposes.ts';
import * as store from './store.ts';
import type { KeyRow, KeyVersion } from './store.ts';
import type { KeyNaming } from './view.ts';

/** What using keys needs to know of the rest of the server. */
export interface UseParts {
  readonly hierarchy: Hierarchy;
  /** The keys that the credential names. */
  keysOf(context: Pick<Context<KeyUses>, 'caller' | 'facts'>): Promise<ReadonlySet<string>>;
  naming(tenant: string): Promise<KeyNaming>;
  /** Who else has to be able to open what is protected. */
  readonly further: FurtherRecipients;
}

/** A key that the caller may use, with the context that it is used in. */
export interface PermittedKey {
  readonly tenant: string;
  readonly row: KeyRow;
  readonly versions: readonly KeyVersion[];
  readonly context: EncryptionContext;
  /** What the entry about this key says. */
  readonly record: Recorded;
}

/** Which key is to be used in which context; what the operation's input names, unless it names a second one. */
interface Asked {
  readonly key: string;
  readonly context: EncryptionContext;
  readonly usage: KeyUsage;
  readonly record: Recorded;
}

/** Authorises what the operation does with its key, and puts on the record what will be asked about it later. */
export function permitted(parts: UseParts, context: Context<KeyUses>, id: KeyUses): Promise<PermittedKey> {
  const { input, record } = context;
  const encryptionContext = ('context' in input ? input.context : undefined) ?? {};
  return permittedKey(parts, context, {
    key: input.key,
    context: encryptionContext,
    usage: keyUsage[id],
    record,
  });
}

/** @throws OperationError of the key, its state, its purpose, or the context */
export async function permittedKey(
  parts: UseParts,
  context: Context<KeyUses>,
  { key: id, context: encryptionContext, usage, record }: Asked,
): Promise<PermittedKey> {
  const { input, caller, facts, validity } = context;
  const tenant = tenantOf(caller);
  record.key = id;
  recordContext(encryptionContext, record);
  const rowKey = await parts.hierarchy.rowKey(tenant);
  const [named, key] = await Promise.all([
    parts.keysOf(context),
    facts.get(`key ${id}`, async (snapshot) => {
      const row = await store.findKey(snapshot, rowKey, tenant, id);
      return row && { row, versions: await store.listVersions(snapshot, rowKey, id) };
    }),
  ]);
  if (key !== undefined) record.system = key.row.system;
  const reason = 'reason' in input ? input.reason : undefined;
  validity.push(...permitUse(caller, named, key?.row, { kind: usage.kind, reason }, context.now));
  if (key === undefined) throw new OperationError('key.unknown', { field: '/key' });
  const { algorithm, purpose } = key.row;
  if (!isTaken(usage, key.row)) {
    throw new OperationError('key.wrong_purpose', {
      field: '/key',
      detail: `It is ${algorithm}, for ${purpose}.`,
    });
  }
  // RSA binds no context; to take one and not bind it would promise what does not hold.
  if (purpose !== 'encrypt' && Object.keys(encryptionContext).length > 0) {
    throw new OperationError('context.invalid', { field: '/context', detail: `${algorithm} binds none.` });
  }
  if (context.protocol !== 'trialkeep') refuseUnsaid(key.row, usage);
  if (isUseLogged(key.row)) requireSubject(record);
  await refuseClosedStudy(parts.hierarchy, { ...context, record });
  return { tenant, ...key, context: encryptionContext, record };
}

export function isUseLogged(row: KeyRow): boolean {
  return row.use_logged === 1;
}

/**
 * What other products' protocols have no words for: under them nobody reports the uses of a data key, and a ciphertext names the version
 * of its key.
 */
function refuseUnsaid(row: KeyRow, { isOfDataKey }: KeyUsage): void {
  if (isOfDataKey === true && isUseLogged(row)) throw new OperationError('key.use_logged', { field: '/key' });
  if (row.purpose === 'decrypt') {
    const detail = 'The AWS protocol is served for keys of purpose encrypt.';
    throw new OperationError('key.wrong_purpose', { field: '/key', detail });
  }
}

/** A data key of a use-logged key is bound, by its context, to one subject. */
function requireSubject(record: Recorded): void {
  record.useLogged = true;
  const missing = (['study', 'subject'] as const).find((name) => record[name] === undefined);
  if (missing !== undefined)
    throw new OperationError('context.subject_required', { field: `/context/${missing}` });
}

/** The version that protects at present, on the record. */
export function currentVersion({ row, versions, record }: PermittedKey): KeyVersion {
  const current = versions.find(({ version }) => version === row.version);
  // After a recovery the rotation that makes it is under way.
  if (current === undefined && row.protection === 'hsm')
    throw new OperationError('key.module_gone', { field: '/key' });
  // After a recovery a version that was brought from elsewhere has to be brought again.
  if (current === undefined && row.imported === 1)
    throw new OperationError('key.unusable', { field: '/key' });
  if (current === undefined) throw new Error(`Key ${row.id} has no version ${row.version}.`);
  record.version = current.version;
  return current;
}

/** The version that the caller names, the current one where none is, on the record and within its time. @throws OperationError `key.version_unknown`, `key.recipient_period_over` */
export function chosenVersion(
  { caller, validity, now }: Context<KeyUses>,
  key: PermittedKey,
  wanted: number | undefined,
): KeyVersion {
  const found = key.versions.find(({ version }) => version === (wanted ?? key.row.version));
  if (found === undefined) throw new OperationError('key.version_unknown', { field: '/version' });
  key.record.version = found.version;
  validity.push(...processingWindow(caller, key, found.version, now));
  return found;
}

/** The version that a ciphertext of the compact form names, on the record; nothing of the ciphertext is authenticated yet. */
export function namedVersion(
  { caller, validity, now }: Context<KeyUses>,
  key: PermittedKey,
  ciphertext: Uint8Array,
): KeyVersion {
  const id = idOfBytes(compactKeyVersionId(ciphertext));
  const found = key.versions.find((candidate) => candidate.id === id);
  if (found === undefined) throw invalidCiphertext();
  key.record.version = found.version;
  validity.push(...processingWindow(caller, key, found.version, now));
  return found;
}

/** The key of a version for the compact form and for data keys. */
export async function compactKeyOf(
  { hierarchy }: UseParts,
  { tenant, row }: PermittedKey,
  { id }: KeyVersion,
): Promise<CompactKey> {
  const key = await hierarchy.systemKeyVersion(tenant, row.id, id);
  // It was there in the snapshot of the authorisation: it is being destroyed, and the flush will say so.
  if (key === undefined) throw new OperationError('key.unusable', { field: '/key' });
  return key;
}

/** The symmetric or private key of a version. */
export async function secretOf(
  { hierarchy }: UseParts,
  { tenant, row }: PermittedKey,
  { id }: KeyVersion,
): Promise<KeyObject> {
  const secret = await hierarchy.systemSecret(tenant, row, id);
  if (secret === undefined) throw new OperationError('key.unusable', { field: '/key' });
  return secret;
}

/** The public key of a version; its row is sealed. */
export function publicKeyOf(
  { row }: Pick<PermittedKey, 'row'>,
  { version, public_key }: KeyVersion,
): KeyObject {
  if (public_key === null) throw new Error(`Version ${version} of key ${row.id} has no public key.`);
  return parsePublicKey(row.algorithm, public_key);
}

/** The message of an input. Its base64 may hold two bytes more than the schema means. @throws OperationError `request.too_large` */
export function messageOf(message: string): Buffer {
  const bytes = Buffer.from(message, 'base64');
  if (bytes.length <= maxMessageBytes) return bytes;
  const detail = `A message has at most ${maxMessageBytes} bytes.`;
  throw new OperationError('request.too_large', { field: '/message', detail });
}

export function invalidCiphertext(cause?: unknown): OperationError {
  return new OperationError('ciphertext.invalid', { field: '/ciphertext', cause });
}

/** Base64 for the answer; the bytes themselves are zeroed. */
export function released(secret: Buffer): string {
  const text = secret.toString('base64');
  secret.fill(0);
  return text;
}
