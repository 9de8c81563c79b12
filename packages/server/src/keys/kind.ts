import { importAlgorithms } from '@trialkeep/contract';
import type { Input, Operations } from '@trialkeep/contract';
import { isForPurpose, keyAlgorithm } from '@trialkeep/crypto';
import type { Profile } from '../platform/config.ts';
import { OperationError } from '../platform/errors.ts';
import type { KeyKind } from './hierarchy.ts';

/**
 * Algorithm and purpose of a key that is to be made: AES-256 for encryption unless something else is asked for. An algorithm that can have
 * one purpose alone needs none named.
 *
 * @throws OperationError `key.purpose_unsuitable`, `key.legacy_reason_required`, `key.algorithm_unapproved`
 */
export function chooseKind(profile: Profile, input: Input<Operations['keys.create']>): KeyKind {
  const { algorithm = 'AES_256', legacyReason, useLogged } = input;
  const row = keyAlgorithm(algorithm);
  const purpose = input.purpose ?? (row.purposes.length === 1 ? row.purposes[0] : undefined);
  if (purpose === undefined || !isForPurpose(algorithm, purpose)) {
    throw new OperationError('key.purpose_unsuitable', {
      field: '/purpose',
      detail: `${algorithm} is for: ${row.purposes.join(', ')}.`,
    });
  }
  if (row.legacy === true && legacyReason === undefined) {
    throw new OperationError('key.legacy_reason_required', { field: '/legacyReason' });
  }
  refuseUnapproved(profile, algorithm);
  // The class is about data keys; no other purpose has any.
  if (useLogged === true && purpose !== 'encrypt') {
    throw new OperationError('key.purpose_unsuitable', { field: '/useLogged' });
  }
  return { algorithm, purpose };
}

/** Whether material of this algorithm travels to and from other modules. */
export function isImportable(algorithm: string): boolean {
  return (importAlgorithms as readonly string[]).includes(algorithm);
}

/** The regulated profile makes keys of what FIPS approves alone. @throws OperationError `key.algorithm_unapproved` */
export function refuseUnapproved(profile: Profile, algorithm: string): void {
  if (profile === 'regulated' && !keyAlgorithm(algorithm).approved) {
    throw new OperationError('key.algorithm_unapproved', { field: '/algorithm' });
  }
}
