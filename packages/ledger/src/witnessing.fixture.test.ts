/** What the tests of witnessing share: cosigning keys from a word, a log that they cosigned, a policy file. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  sign,
  verify as verifySignature,
  type KeyObject,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ed25519PublicKey, logKey, MemoryLog, sha256, type Key } from './fixture.test.ts';
import {
  addSignatures,
  checkpointPath,
  cosigner,
  formatVerifierKey,
  noteTypes,
  parseNote,
  parsePolicy,
  trustOf,
  type CosignatureType,
  type Policy,
  type SignaturePrimitives,
  type Signer,
  type Trust,
} from './index.ts';

export const primitives: SignaturePrimitives = {
  ed25519: (publicKey, message, signature) =>
    signature.length === 64 && verifySignature(null, message, ed25519PublicKey(publicKey), signature),
  mlDsa44: (publicKey, message, signature) => {
    const key = Buffer.from(publicKey);
    const options = { key, format: 'raw-public', asymmetricKeyType: 'ml-dsa-44' } as const;
    return signature.length === 2420 && verifySignature(null, message, createPublicKey(options), signature);
  },
};

const seedOf = (word: string): Buffer => createHash('sha256').update(word).digest();

function privateKeyOf(word: string, type: CosignatureType): KeyObject {
  if (type === noteTypes.mlDsa44) {
    return createPrivateKey({ key: seedOf(word), format: 'raw-seed', asymmetricKeyType: 'ml-dsa-44' });
  }
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seedOf(word)]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

export type Cosigner = { name: string; verifierKey: string; signer: Signer };

/** A cosigning key made from a word, on whose clock it is `time`. */
export function cosignerFrom(word: string, name: string, type: CosignatureType, time: number): Cosigner {
  const key = privateKeyOf(word, type);
  const publicKey = new Uint8Array(createPublicKey(key).export({ format: 'raw-public' }));
  return {
    name,
    verifierKey: formatVerifierKey(sha256, name, type, publicKey),
    signer: cosigner(sha256, {
      name,
      type,
      publicKey,
      sign: (message) => new Uint8Array(sign(null, message, key)),
      now: () => time,
    }),
  };
}

export const logVerifierKey = (key: Key = logKey): string =>
  formatVerifierKey(sha256, key.name, noteTypes.ed25519, key.publicKey);

/** Puts cosignatures under a log's checkpoint. */
export async function cosign(log: MemoryLog, cosigners: readonly Cosigner[]): Promise<void> {
  const text = new TextEncoder().encode(parseNote(log.checkpoint).text);
  for (const { signer } of cosigners) {
    const { name, keyId } = signer;
    const signature = { name, keyId, signature: await signer.sign(text) };
    log.files.set(checkpointPath, addSignatures(log.checkpoint, [signature]));
  }
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
export const policyOf = (text: string): Policy => parsePolicy(sha256, bytesOf(text));
export const trustIn = (text: string): Trust => trustOf(sha256, primitives, { policy: policyOf(text) });

export const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** vectors/ledger-witnessing.json; bytes in hexadecimal. */
type Vectors = {
  cosignature: { verifierKey: string; text: string; time: string; message: string; signature: string }[];
  badCosignature: { why: string; verifierKey: string; text: string; signature: string }[];
  badCosignerKey: { why: string; error: string; verifierKey: string }[];
  publicNote: { verifierKey: string; note: string; size: number }[];
  policy: {
    why: string;
    policy: string;
    logs: string[];
    witnesses: string[];
    met: string[][];
    unmet: string[][];
    quorumWitnesses: string[];
  }[];
  badPolicy: { why: string; error: number; policy: string }[];
  proofFile: {
    proof: string;
    index: number;
    size: number;
    extra?: string;
    policy: string;
    cosignedBy: string[];
    freshAt: number | null;
  }[];
  badProofFile: { why: string; proof: string }[];
  falseProofFile: { why: string; error: string; proof: string; entry: string; policy: string }[];
  addCheckpoint: { body: string; oldSize: number; proof: string[] }[];
  badAddCheckpoint: { why: string; body: string }[];
  signSubtree: { body: string; start: number; end: number; root: string; proof: string[]; size: number }[];
  badSignSubtree: { why: string; body: string }[];
  subtree: { start: number; end: number; size: number; root: string; proof: string[] }[];
  badSubtree: { start: number; end: number; size: number }[];
  addEntries: {
    body: string;
    origin: string;
    uploadStart: number;
    uploadEnd: number;
    ticket: string;
    packages: [number, number, number][];
  }[];
  badAddEntries: { why: string; body: string; packages: number }[];
  mirrorInfo: { body: string; size: number; nextEntry: number; ticket: string }[];
  badMirrorInfo: { why: string; body: string }[];
  cosignedLog: { size: number; checkpoint: string; policy: string; freshAt: number }[];
};

/** The vectors of one kind, at least one. */
export function vectorsOf<K extends keyof Vectors>(kind: K): Vectors[K] {
  const some = (JSON.parse(readFileSync(file, 'utf8')) as Vectors)[kind];
  if (some.length === 0) throw new Error(`no vectors of ${kind}`);
  return some;
}

const file = new URL('../../../vectors/ledger-witnessing.json', import.meta.url);
