import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WitnessError } from '../errors.ts';
import { readSmallFile, writeFileDurably } from '../files.ts';
import { checkSecretFile } from '../keys.ts';

const maxTokenFileBytes = 65_536;

export const defaultTokenFile = (folder: string): string => join(folder, 'monitoring-tokens');

/** Makes the file with a first token of 256 random bits (mode 0600), where there is none. */
export function createTokens(file: string): void {
  if (!existsSync(file)) writeFileDurably(file, `${randomBytes(32).toString('base64url')}\n`);
}

/**
 * SHA-256 of the tokens in a file, one a line: comparing hashes takes a time that says nothing about a token. Lines that begin with #
 * are comments.
 *
 * @throws WitnessError `witness.token_missing`, `witness.secret_exposed`
 */
export function readTokens(file: string): Buffer[] {
  if (!existsSync(file)) throw new WitnessError('witness.token_missing', file);
  checkSecretFile(file);
  const lines = readSmallFile(file, maxTokenFileBytes)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const areTokens = lines.every((line) => /^[A-Za-z0-9_-]{32,200}$/.test(line));
  if (lines.length === 0 || !areTokens) throw new WitnessError('witness.token_missing', file);
  return lines.map((line) => createHash('sha256').update(line).digest());
}
