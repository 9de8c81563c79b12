import { CryptoError, decryptOaep, encryptOaep, openCompact, sealCompact } from '@trialkeep/crypto';
import type { EncryptionContext, Operations, Output } from '@trialkeep/contract';
import { roles } from '@trialkeep/contract';
import { OperationError } from '../platform/errors.ts';
import type { Context, Recorded } from '../platform/implementation.ts';
import { contextKey } from './context.ts';
import { refuseUnshared } from './further-recipients.ts';
import {
  chosenVersion,
  currentVersion,
  invalidCiphertext,
  namedVersion,
  permitted,
  permittedKey,
  publicKeyOf,
  released,
  secretOf,
} from './permitted.ts';
import type { PermittedKey, UseParts } from './permitted.ts';
import { decryptInToken, isResident } from './in-token.ts';
import { outerKeyOf } from './outer-key.ts';
import { keyUsage } from './purposes.ts';
import type { KeyUses } from './purposes.ts';

/** Encrypts a plaintext, which stays the caller's; `field` is the input that is to blame where it is too long. */
type Seal = (plaintext: Buffer, field: string) => Promise<Buffer>;

/**
 * What encrypts under the key's current version, in the compact form. Where the context names a study or subject, what is encrypted is itself
 * the compact form under the study's or subject's key, so that losing either key forgets it. Under a key for decryption: RSAES-OAEP, as
 * whoever has the public key does it. What refuses that, but for the length, has refused it before there is a plaintext.
 */
export async function sealing(
  parts: UseParts,
  operation: Context<KeyUses>,
  key: PermittedKey,
): Promise<Seal> {
  const { facts } = operation;
  await refuseUnshared(parts, operation, key);
  const version = currentVersion(key);
  if (key.row.purpose === 'decrypt') {
    const publicKey = publicKeyOf(key, version);
    return (plaintext, field) =>
      sized(field, 'RSA-OAEP takes as much as one data key.', async () => encryptOaep(publicKey, plaintext));
  }
  const inner = await contextKey(parts.hierarchy, facts, key.tenant, key.record);
  const outer = await outerKeyOf(parts, key, version);
  const { context } = key;
  return (plaintext, field) =>
    sized(field, undefined, () => {
      const content = inner ? sealCompact({ ...inner, context, plaintext }) : plaintext;
      return outer.seal({ context, plaintext: content });
    });
}

async function sized(
  field: string,
  detail: string | undefined,
  seal: () => Promise<Buffer>,
): Promise<Buffer> {
  try {
    return await seal();
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'crypto.plaintext_too_long') {
      throw new OperationError('request.too_large', { field, ...(detail !== undefined && { detail }) });
    }
    throw error;
  }
}

/** Opens what `sealing` made. Whatever the ciphertext does wrong is one error, which says nothing of the keys. */
async function openUnder(
  parts: UseParts,
  context: Context<'keys.decrypt' | 'keys.re-encrypt'>,
  key: PermittedKey,
): Promise<{ plaintext: Buffer; version: number }> {
  const { input, facts } = context;
  const ciphertext = Buffer.from(input.ciphertext, 'base64');
  return opening(async () => {
    if (key.row.purpose === 'decrypt') {
      const chosen = chosenVersion(context, key, input.version);
      const plaintext = isResident(chosen)
        ? await decryptInToken(parts, key, chosen, ciphertext)
        : decryptOaep(await secretOf(parts, key, chosen), ciphertext);
      return { plaintext, version: chosen.version };
    }
    const inner = await contextKey(parts.hierarchy, facts, key.tenant, key.record);
    const named = namedVersion(context, key, ciphertext);
    if (input.version !== undefined && input.version !== named.version) throw invalidCiphertext();
    const outer = await outerKeyOf(parts, key, named);
    const content = await outer.open({ context: key.context, ciphertext });
    const plaintext = inner ? openCompact({ ...inner, context: key.context, ciphertext: content }) : content;
    return { plaintext, version: named.version };
  });
}

/** Whatever a ciphertext from outside does wrong is one error. */
export async function opening<T>(open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof CryptoError) throw invalidCiphertext(error);
    throw error;
  }
}

/** The encrypt operation. */
export async function encrypt(
  parts: UseParts,
  context: Context<'keys.encrypt'>,
): Promise<Output<Operations['keys.encrypt']>> {
  const key = await permitted(parts, context, 'keys.encrypt');
  const plaintext = Buffer.from(context.input.plaintext, 'base64');
  try {
    const seal = await sealing(parts, context, key);
    const ciphertext = await seal(plaintext, '/plaintext');
    return { ciphertext: ciphertext.toString('base64'), key: key.row.id, version: key.row.version };
  } finally {
    plaintext.fill(0);
  }
}

/** The decrypt operation. */
export async function decrypt(
  parts: UseParts,
  context: Context<'keys.decrypt'>,
): Promise<Output<Operations['keys.decrypt']>> {
  const key = await permitted(parts, context, 'keys.decrypt');
  const { plaintext, version } = await openUnder(parts, context, key);
  return { plaintext: released(plaintext), key: key.row.id, version };
}

/**
 * Decrypts under one key and encrypts under another. Each key has an entry of its own, so that whoever asks about either finds it. What
 * was bound to a study or subject stays bound to it: otherwise it would lie where forgetting does not reach.
 */
export async function reEncrypt(
  parts: UseParts,
  context: Context<'keys.re-encrypt'>,
): Promise<Output<Operations['keys.re-encrypt']>> {
  const { input, caller, record } = context;
  const source = await permitted(parts, context, 'keys.re-encrypt');
  const { ciphertext: _ciphertext, context: sourceContext, targetContext = {}, ...asked } = input;
  // The payload of a refusal goes by the source's subject: it tells of no other, whose erasure would not reach it.
  if (targetContext['subject'] === undefined || targetContext['subject'] === record.subject) {
    context.payload['targetContext'] = targetContext;
  }
  if (!caller.roles.some((role) => (roles[role] as readonly string[]).includes('keys:process'))) {
    throw new OperationError('access.denied');
  }
  const targetRecord: Recorded = { source: source.row.id };
  const target = await permittedKey(parts, context, {
    key: input.target,
    context: targetContext,
    usage: keyUsage['keys.encrypt'],
    record: targetRecord,
  }).catch((error: unknown) => {
    throw error instanceof OperationError ? ofTarget(error) : error;
  });
  requireSameBinding(source.record, targetContext);
  const { plaintext, version } = await openUnder(parts, context, source);
  try {
    const seal = await sealing(parts, context, target);
    const ciphertext = await seal(plaintext, '/ciphertext');
    // Each under the key of its own subject, if any: it tells its own context alone.
    context.items.push(
      { record, payload: { input: { ...asked, context: sourceContext } } },
      { record: targetRecord, payload: { input: { ...asked, targetContext } } },
    );
    return {
      ciphertext: ciphertext.toString('base64'),
      key: source.row.id,
      version,
      target: target.row.id,
      targetVersion: target.row.version,
    };
  } finally {
    plaintext.fill(0);
  }
}

/** The same refusal, of the second key and context. */
function ofTarget(error: OperationError): OperationError {
  const field = error.field?.replace(/^\/key$/, '/target').replace(/^\/context/, '/targetContext');
  return new OperationError(error.code, { cause: error, ...(field !== undefined && { field }) });
}

function requireSameBinding(source: Recorded, target: EncryptionContext): void {
  for (const name of ['study', 'subject'] as const) {
    if (source[name] !== undefined && source[name] !== target[name]) {
      throw new OperationError('context.invalid', {
        field: `/targetContext/${name}`,
        detail: 'It stays that of the ciphertext.',
      });
    }
  }
}
