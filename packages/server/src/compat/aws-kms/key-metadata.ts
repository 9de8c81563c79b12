import type { Operations, Output } from '@trialkeep/contract';
import { AwsError } from './errors.ts';
import { arnOf } from './call.ts';
import type { Call } from './call.ts';

type Key = Output<Operations['keys.show']>['key'];

const pss = ['RSASSA_PSS_SHA_256', 'RSASSA_PSS_SHA_384', 'RSASSA_PSS_SHA_512'];
const rsa = (spec: 'RSA_2048' | 'RSA_3072' | 'RSA_4096') => [
  { spec, usage: 'SIGN_VERIFY', algorithm: spec, purpose: 'sign', does: { SigningAlgorithms: pss } },
  {
    spec,
    usage: 'ENCRYPT_DECRYPT',
    algorithm: spec,
    purpose: 'decrypt',
    does: { EncryptionAlgorithms: ['RSAES_OAEP_SHA_256'] },
  },
];
const mac = (bits: 256 | 384 | 512) => ({
  spec: `HMAC_${bits}`,
  usage: 'GENERATE_VERIFY_MAC',
  algorithm: `HMAC_${bits}` as const,
  purpose: 'mac',
  does: { MacAlgorithms: [`HMAC_SHA_${bits}`] },
});
const ecc = (bits: 256 | 384) => [
  {
    spec: `ECC_NIST_P${bits}`,
    usage: 'SIGN_VERIFY',
    algorithm: `ECC_NIST_P${bits}` as const,
    purpose: 'sign',
    does: { SigningAlgorithms: [`ECDSA_SHA_${bits}`] },
  },
  {
    spec: `ECC_NIST_P${bits}`,
    usage: 'KEY_AGREEMENT',
    algorithm: `ECC_NIST_P${bits}` as const,
    purpose: 'agree',
    does: { KeyAgreementAlgorithms: ['ECDH'] },
  },
];

/** What kinds of keys are called in the protocol (KeySpec and KeyUsage of the AWS KMS API Reference). X25519 has no name there. */
const kinds = [
  {
    spec: 'SYMMETRIC_DEFAULT',
    usage: 'ENCRYPT_DECRYPT',
    algorithm: 'AES_256',
    purpose: 'encrypt',
    does: { EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'] },
  },
  ...[256, 384, 512].map((bits) => mac(bits as 256)),
  ...ecc(256),
  ...ecc(384),
  {
    spec: 'ECC_NIST_EDWARDS25519',
    usage: 'SIGN_VERIFY',
    algorithm: 'ED25519',
    purpose: 'sign',
    does: { SigningAlgorithms: ['ED25519_SHA_512'] },
  },
  ...rsa('RSA_2048'),
  ...rsa('RSA_3072'),
  ...rsa('RSA_4096'),
  {
    spec: 'ML_DSA_65',
    usage: 'SIGN_VERIFY',
    algorithm: 'ML_DSA_65',
    purpose: 'sign',
    does: { SigningAlgorithms: ['ML_DSA_SHAKE_256'] },
  },
  {
    spec: 'ML_KEM_768',
    usage: 'ENCAPSULATE_DECAPSULATE',
    algorithm: 'ML_KEM_768',
    purpose: 'agree',
    does: {},
  },
] as const;

/** @throws AwsError UnsupportedOperationException for what there is no kind of key here */
export function kindOf(spec: string, usage: string): Pick<Key, 'algorithm' | 'purpose'> {
  const kind = kinds.find((candidate) => candidate.spec === spec && candidate.usage === usage);
  if (kind === undefined) {
    throw new AwsError(
      'UnsupportedOperationException',
      'There are no keys of this KeySpec and KeyUsage here.',
    );
  }
  const { algorithm, purpose } = kind;
  return { algorithm, purpose } as Pick<Key, 'algorithm' | 'purpose'>;
}

/** A key as the protocol describes it. @throws AwsError NotFoundException for a destroyed one, as if it had never been */
export function keyMetadata(call: Call, key: Key): object {
  if (key.state === 'destroyed') throw new AwsError('NotFoundException', 'The key has been destroyed.');
  const { algorithm, purpose, destructionDueAt } = key;
  const kind = kinds.find((candidate) => candidate.algorithm === algorithm && candidate.purpose === purpose);
  const state = stateOf(key);
  return {
    AWSAccountId: call.naming.account,
    KeyId: key.id,
    Arn: arnOf(call, key.id),
    CreationDate: seconds(key.createdAt),
    Description: key.description,
    Enabled: state === 'Enabled',
    KeyState: state,
    KeyManager: 'CUSTOMER',
    Origin: key.origin === 'imported' ? 'EXTERNAL' : 'AWS_KMS',
    MultiRegion: false,
    ...(destructionDueAt !== null && { DeletionDate: seconds(destructionDueAt) }),
    ...(kind && {
      KeySpec: kind.spec,
      CustomerMasterKeySpec: kind.spec,
      KeyUsage: kind.usage,
      ...kind.does,
    }),
  };
}

/** The protocol knows no difference between a key before its time, a suspended, an expired and a compromised one. */
function stateOf({ state, destructionDueAt, revocation }: Key): string {
  if (destructionDueAt !== null) return 'PendingDeletion';
  return state === 'active' && revocation === null ? 'Enabled' : 'Disabled';
}

/** Times of the protocol are seconds. */
function seconds(time: number): number {
  return time / 1000;
}
