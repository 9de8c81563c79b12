/** What the tests of this package share: vectors, real inputs, and the shape of an expected error. */
import assert from 'node:assert/strict';
import { createHash, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CryptoError, type CompactKey, type CryptoErrorCode } from './index.ts';

/** Bytes in a vector: hexadecimal, or a pattern of a length. */
export type VectorBytes = string | { pattern: number };

export function readVectors(name: string): unknown {
  const path = new URL(`../../../vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** The vector of that name. */
export function named<T extends { name: string }>(vectors: readonly T[], name: string): T {
  const found = vectors.find((vector) => vector.name === name);
  assert.ok(found, name);
  return found;
}

export function bytes(value: VectorBytes): Buffer {
  if (typeof value === 'string') return Buffer.from(value, 'hex');
  return Buffer.from(Uint8Array.from({ length: value.pattern }, (_, i) => i % 251));
}

export function key(hex: string): KeyObject {
  return createSecretKey(Buffer.from(hex, 'hex'));
}

export function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** A fresh key version of a fresh tenant. */
export function freshCompactKey(): CompactKey {
  return {
    key: createSecretKey(randomBytes(32)),
    keyVersionId: randomBytes(16),
    tenantId: randomBytes(16),
    keyId: randomBytes(16),
  };
}

/** A copy in which one bit of one byte differs. */
export function flipped(data: Uint8Array, offset: number, bit = offset % 8): Buffer {
  const copy = Buffer.from(data);
  copy.writeUInt8(copy.readUInt8(offset) ^ (1 << bit), offset);
  return copy;
}

/** For `assert.throws` and `assert.rejects`. */
export function withCode(...codes: readonly CryptoErrorCode[]): (error: unknown) => true {
  return (error) => {
    if (!(error instanceof CryptoError)) throw error;
    assert.ok(codes.includes(error.code), `${error.code} is not one of ${codes.join(', ')}`);
    return true;
  };
}

/** A file of real inputs, or the sentence that says why a test that needs it is skipped. */
export function realInput(file: string): { path: string; skip: string | false } {
  const root = process.env['TRIALKEEP_SHARED_DATA'] ?? new URL('../../../../shared/data', import.meta.url);
  const path = `${typeof root === 'string' ? root : fileURLToPath(root)}/${file}`;
  return { path, skip: existsSync(path) ? false : `no file shared/data/${file} beside the repository` };
}
