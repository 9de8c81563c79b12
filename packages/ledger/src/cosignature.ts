import { concatBytes, decodeUtf8 } from './bytes.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { LedgerError } from './errors.ts';
import { checkedHash, type Sha256 } from './merkle.ts';
import { keyId, parseVerifierKey, type Signer, type Verifier, type VerifierKey } from './note.ts';
import { checkLogSize } from './tile.ts';

/** The signature types of C2SP signed-note and C2SP tlog-cosignature that are verified here. */
export const noteTypes = { ed25519: 0x01, ed25519Cosignature: 0x04, mlDsa44: 0x06 } as const;

/**
 * Whether `signature` is that of `message` under the raw public key: Ed25519 (RFC 8032) 32 and 64 bytes,
 * ML-DSA-44 (FIPS 204, empty context) 1,312 and 2,420 bytes. Answers false rather than throw, whatever the
 * lengths.
 */
export type SignaturePrimitives = {
  ed25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean | Promise<boolean>;
  mlDsa44(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean | Promise<boolean>;
};

/** The types with a time, u64 in seconds, before the signature (C2SP tlog-cosignature). */
export type CosignatureType = typeof noteTypes.ed25519Cosignature | typeof noteTypes.mlDsa44;

/** A verifier that says which key it stands for. */
export type KeyVerifier = Verifier & VerifierKey;

/** A key that cosigns checkpoints. */
export type CosignerKey = {
  readonly name: string;
  readonly type: CosignatureType;
  /** 32 or 1,312 bytes, by the type. */
  readonly publicKey: Uint8Array;
  /** Signs with the private key: Ed25519, or ML-DSA-44 with the empty context. */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** The time to state, in whole seconds of the POSIX epoch, 0 to 2^53-1. */
  now(): number;
};

const timeBytes = 8;
const maxTime = 2n ** 63n - 1n;
const maxVectorBytes = 255;
const subtreeLabel = new TextEncoder().encode('subtree/v1\n\0');

/**
 * The verifier that a verifier key line stands for: Ed25519 over the note text (0x01), or a cosignature with a
 * time over a checkpoint, Ed25519 (0x04) or ML-DSA-44 (0x06). A log's own ML-DSA-44 line is a cosignature of
 * type 0x06 under the log's name. Throws `ledger.key_malformed`, and `ledger.key_unsupported` for other types.
 */
export function verifierOf(
  sha256: Sha256,
  primitives: SignaturePrimitives,
  verifierKey: string,
): KeyVerifier {
  const key = parseVerifierKey(sha256, verifierKey);
  const { name, type, publicKey } = key;
  if (type === noteTypes.ed25519) {
    return { ...key, verify: (text, signature) => primitives.ed25519(publicKey, text, signature) };
  }
  if (type !== noteTypes.ed25519Cosignature && type !== noteTypes.mlDsa44) {
    throw new LedgerError('ledger.key_unsupported', `signature type ${type}`);
  }
  if (type === noteTypes.mlDsa44 && !fitsVector(name)) {
    throw new LedgerError('ledger.key_malformed', 'name longer than 255 bytes');
  }
  const check = type === noteTypes.mlDsa44 ? primitives.mlDsa44 : primitives.ed25519;
  return {
    ...key,
    verify: (text, signature) => {
      const time = readTime(signature);
      if (time === undefined) return false;
      const message = cosignedMessage(type, name, time, text);
      return message !== undefined && check(publicKey, message, signature.subarray(timeBytes));
    },
  };
}

/**
 * A signer whose signature is `u64 time ‖ signature` over a checkpoint's note text. Its `sign` throws
 * `ledger.cosigner_invalid` where the text is not a checkpoint that this type can state, or the clock's time
 * cannot be written.
 */
export function cosigner(sha256: Sha256, key: CosignerKey): Signer {
  const { name, type, publicKey } = key;
  if (type === noteTypes.mlDsa44 && !fitsVector(name)) {
    throw new LedgerError('ledger.cosigner_invalid', 'name longer than 255 bytes');
  }
  return {
    name,
    keyId: keyId(sha256, name, type, publicKey),
    async sign(text) {
      const seconds = key.now();
      if (!Number.isSafeInteger(seconds) || seconds < 0) {
        throw new LedgerError('ledger.cosigner_invalid', 'time');
      }
      const time = BigInt(seconds);
      const message = cosignedMessage(type, name, time, text);
      if (message === undefined) throw new LedgerError('ledger.cosigner_invalid', 'not a checkpoint');
      return concatBytes(u64(time), await key.sign(message));
    },
  };
}

/**
 * The time of a cosignature in seconds of the POSIX epoch, from the bytes behind the key id. Believe it only of
 * a signature that has verified. 0 says that nothing is stated about the time, and so about freshness. Exact up
 * to 2^53.
 */
export function cosignatureTime(signature: Uint8Array): number {
  return Number(readTime(signature) ?? 0n);
}

/**
 * What an ML-DSA-44 cosigner signs (C2SP tlog-cosignature, ML-DSA-44 signed message): that the log's entries
 * from `start` up to, and without, `end` have the root `root`. `time` in seconds; 0 where `start` is not 0.
 * Throws `ledger.cosigner_invalid` where a name is not 1 to 255 bytes in UTF-8, the range is none or the time
 * is not 0 to 2^63-1.
 */
export function subtreeMessage(statement: {
  cosigner: string;
  time: bigint;
  origin: string;
  start: number;
  end: number;
  root: Uint8Array;
}): Uint8Array {
  const { cosigner, time, origin, start, end, root } = statement;
  if (!fitsVector(cosigner) || !fitsVector(origin)) {
    throw new LedgerError('ledger.cosigner_invalid', 'a name is not 1 to 255 bytes long');
  }
  if (time < 0n || time > maxTime || (start !== 0 && time !== 0n)) {
    throw new LedgerError('ledger.cosigner_invalid', 'time');
  }
  if (checkLogSize(start) > checkLogSize(end)) throw new LedgerError('ledger.cosigner_invalid', 'range');
  return concatBytes(
    subtreeLabel,
    vector(cosigner),
    u64(time),
    vector(origin),
    u64(BigInt(start)),
    u64(BigInt(end)),
    checkedHash(root),
  );
}

/** The signed message for a checkpoint's note text; undefined where the type cannot state the text. */
function cosignedMessage(
  type: CosignatureType,
  name: string,
  time: bigint,
  text: Uint8Array,
): Uint8Array | undefined {
  try {
    const { origin, size, root } = parseCheckpoint(decodeUtf8(text) ?? '');
    if (type === noteTypes.mlDsa44) {
      return subtreeMessage({ cosigner: name, time, origin, start: 0, end: size, root });
    }
    return concatBytes(new TextEncoder().encode(`cosignature/v1\ntime ${time}\n`), text);
  } catch (error) {
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}

function readTime(signature: Uint8Array): bigint | undefined {
  if (signature.length <= timeBytes) return undefined;
  const view = new DataView(signature.buffer, signature.byteOffset, signature.byteLength);
  const time = view.getBigUint64(0);
  return time <= maxTime ? time : undefined;
}

function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

/** `opaque x<1..2^8-1>` of RFC 8446 section 3.4. */
function vector(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  return concatBytes(Uint8Array.of(bytes.length), bytes);
}

function fitsVector(text: string): boolean {
  const { length } = new TextEncoder().encode(text);
  return length >= 1 && length <= maxVectorBytes;
}
