import { createHash, type KeyObject } from 'node:crypto';
import { idBytes, requireBytes } from '../checks.ts';
import type { EncryptionContext } from '../context.ts';
import { signEd25519, verifyEd25519 } from '../signature.ts';

/** What server and reader of an exit package compute alike (docs/formats/tenant-exit.md). */

export const exitParts = ['rows', 'keys'] as const;
export type ExitPart = (typeof exitParts)[number];

/** Most pages of a package, which a manifest of 8 MiB lists, and most bytes of one in clear. */
export const maximumExitPages = 65_536;
export const maximumExitPageBytes = 2 * 1024 * 1024;

const openedLabel = Buffer.from('trialkeep/exit-opened/v1\0');
const receiptLabel = Buffer.from('trialkeep/exit-receipt/v1\0');
const hashBytes = 32;

/** The context that binds a sealed page to its place. */
export function exitPageContext(o: {
  readonly exit: string;
  readonly page: number;
  readonly part: ExitPart;
}): EncryptionContext {
  return { 'trialkeep:exit': o.exit, 'trialkeep:page': String(o.page), 'trialkeep:part': o.part };
}

/** The opened hash of an exit before its first page, 32 bytes. @param exit 16 bytes */
export function firstOpened(exit: Uint8Array): Buffer {
  requireBytes(exit, idBytes, 'exit');
  return createHash('sha256').update(openedLabel).update(exit).digest();
}

/** The opened hash after one more page. @param clear the page in clear */
export function nextOpened(opened: Uint8Array, clear: Uint8Array): Buffer {
  requireBytes(opened, hashBytes, 'opened');
  const page = createHash('sha256').update(clear).digest();
  return createHash('sha256').update(opened).update(page).digest();
}

export interface ExitOpened {
  /** 16 bytes */
  readonly exit: Uint8Array;
  /** SHA-256 of the manifest */
  readonly manifestHash: Uint8Array;
  /** after the last page */
  readonly opened: Uint8Array;
}

function receiptBytes({ exit, manifestHash, opened }: ExitOpened): Buffer {
  requireBytes(exit, idBytes, 'exit');
  requireBytes(manifestHash, hashBytes, 'manifestHash');
  requireBytes(opened, hashBytes, 'opened');
  return Buffer.concat([receiptLabel, exit, manifestHash, opened]);
}

/**
 * Signs that every page was opened, with the signing key of the escrow pair.
 *
 * @returns 64 bytes
 * @throws CryptoError `crypto.argument_invalid`, `crypto.key_unsuitable`
 */
export function signExitReceipt(signer: KeyObject, said: ExitOpened): Buffer {
  return signEd25519(signer, receiptBytes(said));
}

/** Whether the pair of this verification key has signed it. */
export function isExitReceipt(verificationKey: Uint8Array, said: ExitOpened, signature: Uint8Array): boolean {
  return verifyEd25519(verificationKey, receiptBytes(said), signature);
}
