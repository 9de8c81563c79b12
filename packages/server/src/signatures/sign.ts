import type { KeyObject } from 'node:crypto';
import type { SignatureMeaning, SignatureRecord } from '@trialkeep/contract';
import { canonicalBytes, sha256Hex } from '../platform/canonical.ts';
import type { Tx } from '../platform/database.ts';
import type { Log } from '../platform/implementation.ts';
import * as store from './store.ts';

/** What a person signs, once both components have been checked. */
export interface Signing {
  readonly id: string;
  readonly log: Log;
  readonly operation: string;
  readonly meaning: SignatureMeaning;
  readonly person: { readonly id: string; readonly name: string };
  /** SHA-256 of the signed document, in hexadecimal. */
  readonly hash: string;
  /** The request for approval, or the review, that the document is of. */
  readonly about: Pick<SignatureRecord, 'approval'> | Pick<SignatureRecord, 'review'>;
  /** The database's time, as the entry has it. */
  readonly time: number;
}

/** Stores the record of a signature, and gives the hash of it that the entry of the same transaction has to carry. */
export async function sign(tx: Tx, rowKey: KeyObject, signing: Signing): Promise<string> {
  const { id, log, operation, meaning, person, hash, about, time } = signing;
  const record: SignatureRecord = {
    ...about,
    components: ['password', 'totp'],
    hash,
    meaning,
    name: person.name,
    operation,
    origin: log.origin,
    person: person.id,
    signature: id,
    time,
    utc: new Date(time).toISOString(),
    v: 1,
  };
  const bytes = canonicalBytes(record);
  const recordHash = sha256Hex(bytes);
  await store.insertSignature(tx, rowKey, {
    id,
    log: log.id,
    person: person.id,
    record: bytes,
    hash: recordHash,
    created_at: time,
  });
  return recordHash;
}
