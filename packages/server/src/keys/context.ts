import { contextFields } from '@trialkeep/contract';
import type { EncryptionContext } from '@trialkeep/contract';
import { CryptoError, dataKeyContext, encodeContext } from '@trialkeep/crypto';
import type { CompactKey } from '@trialkeep/crypto';
import { OperationError } from '../platform/errors.ts';
import type { Facts } from '../platform/facts.ts';
import type { Recorded } from '../platform/implementation.ts';
import type { Hierarchy } from './hierarchy.ts';
import * as store from './store.ts';

/** Checks a context and the names that Trialkeep reads in it, and puts their values on the record. */
export function recordContext(context: EncryptionContext, record: Recorded): void {
  for (const [name, value] of Object.entries(context)) {
    // Names under which the server itself binds ciphertexts to their places.
    if (name.startsWith('trialkeep:'))
      throw new OperationError('context.invalid', { field: `/context/${name}` });
    if (!Object.hasOwn(contextFields, name)) continue;
    const known = name as keyof typeof contextFields;
    if (!contextFields[known].test(value)) {
      throw new OperationError('context.invalid', { field: `/context/${name}` });
    }
    record[known] = value;
  }
  checkEncodable(context);
  if (record.subject !== undefined && record.study === undefined) {
    throw new OperationError('context.invalid', {
      field: '/context/subject',
      detail: 'A subject needs its study.',
    });
  }
}

/** Every format that binds a context bounds its encoding, that of data keys the most (docs/formats/compact.md). */
function checkEncodable(context: EncryptionContext): void {
  try {
    encodeContext(dataKeyContext(context));
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new OperationError('context.invalid', {
      field: '/context',
      detail: 'It is too long.',
      cause: error,
    });
  }
}

/**
 * The key that a data key of this context is wrapped under beside the system's: the subject's where there is a subject, else
 * the study's, else none. Throws where the tenant has no such study or subject, or has forgotten it.
 */
export async function contextKey(
  hierarchy: Hierarchy,
  facts: Facts,
  tenant: string,
  { study, subject }: Recorded,
): Promise<CompactKey | undefined> {
  if (study === undefined) return undefined;
  const exists = await facts.get(`context ${study} ${subject ?? ''}`, (snapshot) =>
    store.contextExists(snapshot, tenant, study, subject),
  );
  if (!exists.study) throw new OperationError('study.unknown', { field: '/context/study' });
  if (subject === undefined) {
    const key = await hierarchy.shreddable(tenant, 'study', study);
    if (key === undefined) throw new OperationError('study.unknown', { field: '/context/study' });
    return key;
  }
  const key = exists.subject ? await hierarchy.shreddable(tenant, 'subject', subject) : undefined;
  if (key === undefined) throw new OperationError('subject.unknown', { field: '/context/subject' });
  return key;
}
