import type { KeyAlgorithm, KeyPlace, KeyPurpose } from '@trialkeep/crypto';
import { idBytes, noTenant } from '../platform/ids.ts';
import type { KeyKind, ShreddableKind, SigningPurpose } from './hierarchy.ts';

/** A row's algorithm and purpose are sealed, and were taken from the registry when the key was made. */
export function systemPlace(tenant: string, key: string, versionId: string, kind: KeyKind): KeyPlace {
  return {
    kind: 'system',
    tenantId: idBytes(tenant),
    keyId: idBytes(key),
    versionId: idBytes(versionId),
    purpose: kind.purpose as KeyPurpose,
    algorithm: kind.algorithm as KeyAlgorithm,
  };
}

/** Of the key of a study or subject. */
export function shreddablePlace(
  kind: ShreddableKind,
  tenant: string,
  id: string,
  versionId: string,
): KeyPlace {
  return {
    kind,
    tenantId: idBytes(tenant),
    keyId: idBytes(id),
    versionId: idBytes(versionId),
    purpose: 'encrypt',
  };
}

/** Beside the compact form's own binding: a study's row does not open as a subject's. */
export function shredContext(kind: ShreddableKind): Record<string, string> {
  return { 'trialkeep:shred-store': kind };
}

/** The instance's own keys have zeros where others have the tenant's id. */
export function ownPlace(tenant: string | null): Pick<KeyPlace, 'tenantId' | 'keyId'> {
  const tenantId = tenant === null ? noTenant : idBytes(tenant);
  return { tenantId, keyId: tenantId };
}

/** Of the signing key of a log. */
export function signingPlace(tenant: string | null, id: string, purpose: SigningPurpose): KeyPlace {
  return { ...ownPlace(tenant), kind: 'ledger', versionId: idBytes(id), purpose };
}

/** Of the key of those payloads of a log that name no subject. */
export function payloadPlace(tenant: string | null, versionId: string): KeyPlace {
  return { ...ownPlace(tenant), kind: 'payload', versionId: idBytes(versionId), purpose: 'encrypt' };
}

/** Of the secret of a person's generator of one-time codes. */
export function authenticatorPlace(tenant: string | null, person: string, id: string): KeyPlace {
  const { tenantId } = ownPlace(tenant);
  return {
    kind: 'authenticator',
    tenantId,
    keyId: idBytes(person),
    versionId: idBytes(id),
    purpose: 'authenticate',
  };
}
