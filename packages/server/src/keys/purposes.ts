import type { OperationId } from '@trialkeep/contract';
import type { KeyKind } from './hierarchy.ts';
import type { KeyUse } from './permit.ts';

/** What an operation does with a key, and which keys it takes. */
export interface KeyUsage {
  readonly kind: KeyUse['kind'];
  readonly purposes: readonly string[];
  /** The algorithms of those purposes that it takes; all of them where this is absent. */
  readonly algorithms?: readonly string[];
  /** What leaves, or comes back, is a data key: others do with it what it is for. */
  readonly isOfDataKey?: true;
}

/** The uses of keys; docs/key-algorithms.md is generated from this table and from the registry of algorithms. */
export const keyUsage = {
  'keys.encrypt': { kind: 'protect', purposes: ['encrypt', 'decrypt'] },
  'keys.decrypt': { kind: 'process', purposes: ['encrypt', 'decrypt'] },
  /** Of the key that is decrypted with; the other is used as by `keys.encrypt`. */
  'keys.re-encrypt': { kind: 'process', purposes: ['encrypt', 'decrypt'] },
  'keys.generate-data-key': { kind: 'protect', purposes: ['encrypt'], isOfDataKey: true },
  'keys.generate-wrapped-data-key': { kind: 'protect', purposes: ['encrypt'], isOfDataKey: true },
  'keys.decrypt-data-key': { kind: 'process', purposes: ['encrypt'], isOfDataKey: true },
  'keys.generate-data-key-pair': { kind: 'protect', purposes: ['encrypt'] },
  'keys.generate-wrapped-data-key-pair': { kind: 'protect', purposes: ['encrypt'] },
  'keys.sign': { kind: 'protect', purposes: ['sign'] },
  'keys.verify': { kind: 'process', purposes: ['sign'] },
  'keys.generate-mac': { kind: 'protect', purposes: ['mac'] },
  'keys.verify-mac': { kind: 'process', purposes: ['mac'] },
  'keys.derive-shared-secret': {
    kind: 'process',
    purposes: ['agree'],
    algorithms: ['ECC_NIST_P256', 'ECC_NIST_P384', 'X25519'],
  },
  'keys.decapsulate': { kind: 'process', purposes: ['agree'], algorithms: ['ML_KEM_768'] },
} as const satisfies { readonly [Id in OperationId]?: KeyUsage };

export type KeyUses = keyof typeof keyUsage;

/** Whether a key of this kind can be used so, whatever its state. */
export function isTaken({ purposes, algorithms }: KeyUsage, { algorithm, purpose }: KeyKind): boolean {
  return purposes.includes(purpose) && (algorithms === undefined || algorithms.includes(algorithm));
}
