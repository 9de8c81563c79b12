import { createHmac, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto';
import { idBytes, requireBytes } from '../checks.ts';
import { openCompact, sealCompact, type CompactKey } from '../compact.ts';
import { CryptoError } from '../errors.ts';
import { encodePublicKey } from '../keys/material.ts';
import { macHashes } from '../registry.ts';
import { encodeKeyStructure, parseKeyStructure, type KeyPlace } from '../wrapped-key.ts';

/** One key of an exit package: where it belongs, and its secret (docs/formats/tenant-exit.md). */
export interface ExitKey {
  readonly place: KeyPlace;
  /** Symmetric or private. */
  readonly key: KeyObject;
}

const probeLabel = Buffer.from('trialkeep/exit-probe/v1\0');
const probePlaintextBytes = 16;
/** Most bytes of either half of a record. */
const mostBytes = 0xffff;

/**
 * A record of a key with its probe: made with the key as it is used, so that a reader sees that the secret is the one that protected.
 *
 * @param exit 16 bytes
 * @param publicKey of a private key: as the server publishes it, SubjectPublicKeyInfo in DER
 * @returns secret bytes, owned by the caller, who zeroes them
 * @throws CryptoError `crypto.argument_invalid`
 */
export function encodeExitKey(exit: Uint8Array, { place, key }: ExitKey, publicKey?: Uint8Array): Buffer {
  requireBytes(exit, idBytes, 'exit');
  const probe = probeOf(exit, { place, key }, publicKey);
  const structure = encodeKeyStructure(place, key);
  try {
    if (structure.length > mostBytes || probe.length > mostBytes) {
      throw new CryptoError('crypto.argument_invalid', 'key');
    }
    return Buffer.concat([u16(structure.length), structure, u16(probe.length), probe]);
  } finally {
    structure.fill(0);
  }
}

/**
 * Reads the records of a page, each with its probe tried.
 *
 * @param page in clear; stays the caller's, who zeroes it
 * @throws CryptoError `crypto.wrapped_key_malformed` for bytes that are no records, `crypto.wrapped_key_invalid` where a probe is not of its key
 */
export function* decodeExitKeys(exit: Uint8Array, page: Uint8Array): Generator<ExitKey> {
  requireBytes(exit, idBytes, 'exit');
  for (let at = 0; at < page.length;) {
    const structure = field(page, at);
    at += 2 + structure.length;
    const probe = field(page, at);
    at += 2 + probe.length;
    const found = parseKeyStructure(structure);
    if (!isProbe(exit, found, probe)) throw new CryptoError('crypto.wrapped_key_invalid');
    yield found;
  }
}

function field(page: Uint8Array, at: number): Uint8Array {
  const length = at + 2 <= page.length ? Buffer.from(page.buffer, page.byteOffset + at, 2).readUInt16BE() : 0;
  if (length === 0 || at + 2 + length > page.length) throw new CryptoError('crypto.wrapped_key_malformed');
  return page.subarray(at + 2, at + 2 + length);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** The key as the compact form takes it. */
export function compactKeyOfExit({ place, key }: ExitKey): CompactKey {
  return { key, keyVersionId: place.versionId, tenantId: place.tenantId, keyId: place.keyId };
}

function probeContext(exit: Uint8Array): Record<string, string> {
  const hex = Buffer.from(exit).toString('hex');
  const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return { 'trialkeep:exit': id };
}

function macOf(exit: Uint8Array, { place, key }: ExitKey): Buffer {
  const algorithm = place.algorithm ?? 'HMAC_256';
  const hash = macHashes[algorithm as keyof typeof macHashes];
  return createHmac(hash, key).update(probeLabel).update(exit).digest();
}

function probeOf(exit: Uint8Array, of: ExitKey, publicKey: Uint8Array | undefined): Uint8Array {
  if (of.key.type === 'private') {
    if (publicKey === undefined) throw new CryptoError('crypto.argument_invalid', 'publicKey');
    return publicKey;
  }
  if (of.place.purpose === 'mac') return macOf(exit, of);
  const plaintext = randomBytes(probePlaintextBytes);
  return sealCompact({ ...compactKeyOfExit(of), context: probeContext(exit), plaintext });
}

function isProbe(exit: Uint8Array, of: ExitKey, probe: Uint8Array): boolean {
  if (of.key.type === 'private') return Buffer.compare(encodePublicKey(of.key), probe) === 0;
  if (of.place.purpose === 'mac') {
    const expected = macOf(exit, of);
    return expected.length === probe.length && timingSafeEqual(expected, probe);
  }
  try {
    const { keyVersionId: _, ...key } = compactKeyOfExit(of);
    const opened = openCompact({ ...key, context: probeContext(exit), ciphertext: probe });
    return opened.length === probePlaintextBytes;
  } catch (error) {
    if (error instanceof CryptoError) return false;
    throw error;
  }
}
