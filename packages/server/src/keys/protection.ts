import { keyAlgorithm } from '@trialkeep/crypto';
import type { Configuration, Profile } from '../platform/config.ts';
import { OperationError } from '../platform/errors.ts';
import type { Hierarchy, KeyKind } from './hierarchy.ts';

/** What an installation asks of where keys are. */
export interface ProtectionPolicy {
  readonly profile: Profile;
  /** Types of systems whose keys have to be in an HSM. */
  readonly systemTypes: readonly string[];
  /** Whether an HSM for keys is configured. */
  readonly hasHsm: boolean;
}

/** What the configuration asks for, and what there is. */
export function protectionPolicy(
  { profile, hsmSystemTypes }: Pick<Configuration, 'profile' | 'hsmSystemTypes'>,
  { hasTokenKeys: hasHsm }: Pick<Hierarchy, 'hasTokenKeys'>,
): ProtectionPolicy {
  return { profile, systemTypes: hsmSystemTypes ?? usualSystemTypes, hasHsm };
}

/** eTMF keys stay in an HSM (URS-014). */
export const usualSystemTypes: readonly string[] = ['etmf'];

/**
 * Whether keys of systems of this type have to be in an HSM. An evaluation without one can demand none; the status page says so. The
 * regulated profile always demands it for the eTMF.
 */
export function demandsHsm({ profile, systemTypes, hasHsm }: ProtectionPolicy, systemType: string): boolean {
  if (profile === 'regulated' && usualSystemTypes.includes(systemType)) return true;
  return systemTypes.includes(systemType) && (hasHsm || profile === 'regulated');
}

/** Whether tokens make and use keys of this kind; agreement gives its secret out, and what is post-quantum no version of PKCS #11 in use has. */
export function canBeResident({ algorithm, purpose }: KeyKind): boolean {
  if (purpose === 'agree' || algorithm === 'ML_DSA_65') return false;
  return keyAlgorithm(algorithm).purposes.length > 0;
}

/**
 * Where a new key is to be: where the caller says, or as the system demands.
 *
 * @throws OperationError `key.hsm_required`, `key.hsm_missing`, `key.hsm_unsupported`
 */
export function chooseProtection(
  policy: ProtectionPolicy,
  kind: KeyKind,
  systemType: string,
  wanted: 'software' | 'hsm' | undefined,
): 'software' | 'hsm' {
  const isDemanded = demandsHsm(policy, systemType);
  const field = '/protection';
  if (isDemanded && (wanted === 'software' || !policy.hasHsm)) {
    throw new OperationError('key.hsm_required', { field, detail: `The system is of type ${systemType}.` });
  }
  if (wanted !== 'hsm' && !isDemanded) return 'software';
  if (!policy.hasHsm) throw new OperationError('key.hsm_missing', { field });
  if (!canBeResident(kind)) throw new OperationError('key.hsm_unsupported', { field: '/algorithm' });
  return 'hsm';
}
