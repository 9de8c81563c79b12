import { existsSync, readFileSync, statSync } from 'node:fs';
import { StartupError } from '../platform/errors.ts';
import type { StartupErrorCode } from '../platform/errors.ts';

/** Longest passphrase or PIN file that is read, bytes. */
const maxSecretFileBytes = 4096;

/**
 * Reads a passphrase or PIN: a file of one line that nobody else can read. Never an argument or the value of an environment
 * variable, which other programs of the machine can list.
 *
 * @returns the bytes (UTF-8) without surrounding white space, owned by the caller, who zeroes them
 * @throws StartupError one of the two codes, `data.unreadable`
 */
export function readSecretFile(
  file: string,
  codes: { readonly missing: StartupErrorCode; readonly exposed: StartupErrorCode },
): Buffer {
  if (!existsSync(file)) throw new StartupError(codes.missing, file);
  const { mode, size } = statSync(file);
  if ((mode & 0o077) !== 0) throw new StartupError(codes.exposed, file);
  if (size > maxSecretFileBytes) throw new StartupError('data.unreadable', `${file}: too long.`);
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    throw new StartupError('data.unreadable', file, error);
  }
  const text = content.toString('utf8').trim();
  content.fill(0);
  if (text === '') throw new StartupError(codes.missing, file);
  return Buffer.from(text, 'utf8');
}
