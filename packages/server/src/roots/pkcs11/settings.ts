import { join } from 'node:path';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { rootHead } from '../root.ts';
import type { RootOpening } from '../root.ts';

const closed = { additionalProperties: false };
const name = (maxLength: number) => Type.String({ minLength: 1, maxLength, pattern: '^[\\x20-\\x7e]+$' });

/**
 * The variables that libraries of vendors read: SoftHSM, Kryoptic, Thales Luna and ProtectServer, Utimaco, Entrust nShield, YubiHSM, TPM 2.0.
 * No others, for the loader, the C library and Node read variables too, and run what they name.
 */
const vendorVariables =
  '^(?:SOFTHSM2_CONF|KRYOPTIC_CONF|ChrystokiConfigurationPath|ET_(?:PTKC|HSM)_[A-Z0-9_]{1,50}|CS_PKCS11_R[23]_CFG|CKNFAST_[A-Z0-9_]{1,50}|YUBIHSM_PKCS11_CONF|TPM2_PKCS11_STORE)$';

/** How to get at a token. */
export const tokenAccess = {
  /** Absolute path of the vendor's PKCS#11 library. */
  module: Type.String({ pattern: '^/', maxLength: 500 }),
  /** Which token: by label, by serial number, or by both (PKCS#11 2.40 section 3.2, CK_TOKEN_INFO). */
  token: Type.Object(
    { label: Type.Optional(name(32)), serial: Type.Optional(name(16)) },
    { ...closed, minProperties: 1 },
  ),
  /** The file of the user PIN; `pin` in the folder of the settings otherwise. */
  pinFile: Type.Optional(Type.String({ pattern: '^/', maxLength: 500 })),
  /** How many sessions are open at most. */
  sessions: Type.Optional(Type.Integer({ minimum: 1, maximum: 16 })),
  /** How long the module may take for one answer. */
  timeoutSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 120 })),
  /** What the vendor's library reads from its environment, such as the path of its configuration. Never a PIN. */
  environment: Type.Optional(
    Type.Record(
      Type.String({ pattern: vendorVariables }),
      Type.String({ maxLength: 500, pattern: '^[\\x20-\\x7e]*$' }),
      { ...closed, maxProperties: 16 },
    ),
  ),
};
const token = {
  ...tokenAccess,
  /** CKA_LABEL of the key, for those who look into the token. The key is found by its CKA_ID, which is the root's id. */
  keyLabel: name(64),
};
const mechanism = Type.Enum(['aes-gcm', 'aes-kwp']);

/** What the operator says of a new root in a token. */
export const settingsSchema = Type.Object(
  {
    kind: Type.Literal('pkcs11'),
    certificate: rootHead.certificate,
    ...token,
    /** AES-GCM where the token offers it, unless this says otherwise. */
    mechanism: Type.Optional(mechanism),
  },
  closed,
);

/** root.json of a root in a token. */
export const rootSchema = Type.Object(
  { ...rootHead, kind: Type.Literal('pkcs11'), ...token, mechanism },
  closed,
);
export type Pkcs11Settings = Omit<Static<typeof settingsSchema>, 'kind' | 'certificate'>;
export type Pkcs11Root = Static<typeof rootSchema>;
export type Mechanism = Static<typeof mechanism>;

/** Where the PIN lies: where the settings say; of the root that is started with, else where the environment says. */
export function pinFileOf(
  { pinFile }: { readonly pinFile?: string },
  { secretsFolder, isFirst }: RootOpening,
): string {
  const named = isFirst ? process.env['TRIALKEEP_PIN_FILE'] : undefined;
  return pinFile ?? named ?? join(secretsFolder, 'pin');
}
