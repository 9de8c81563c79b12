import { StartupError } from './errors.ts';

const patterns: readonly RegExp[] = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/,
  // 32 bytes or more in hexadecimal or base64, standing alone in quotes
  /["'](?:[0-9a-fA-F]{2}){32,}["']/,
  /["'][A-Za-z0-9+/_-]{43,}={0,2}["']/,
];

/** Refuses text that holds what looks like a key: keys live in the root of trust, never in configuration (URS-011). */
export function assertNoKeyLiteral(text: string): void {
  if (patterns.some((pattern) => pattern.test(text))) throw new StartupError('config.key_literal');
}
