/** What the load knows to exist, from acknowledgements alone. */
export interface Tenant {
  readonly id: string;
  readonly custodian: { readonly id: string; readonly secret: string };
  readonly systems: string[];
  readonly studies: string[];
  readonly subjects: { readonly study: string; readonly alias: string }[];
  readonly keys: Key[];
  readonly services: Service[];
  /** The newest ones; older ones are opened by the check. */
  readonly ciphertexts: Ciphertext[];
}

export interface Key {
  readonly id: string;
  readonly system: string;
  /** As acknowledged last; a change that was not answered may have moved it on. */
  state: string;
  /** One change at a time, so that the order of the acknowledgements is the order of the changes. */
  changing: boolean;
}

export interface Service {
  readonly id: string;
  readonly secret: string;
  readonly keys: readonly string[];
  revoked: boolean;
  changing: boolean;
}

export interface Ciphertext {
  readonly kind: 'ciphertext' | 'data key';
  readonly key: string;
  readonly class: string;
  readonly context: Record<string, string>;
  readonly ciphertext: string;
  readonly plaintext: string;
}

export function newTenant(id: string, custodian: Tenant['custodian']): Tenant {
  return { id, custodian, systems: [], studies: [], subjects: [], keys: [], services: [], ciphertexts: [] };
}
