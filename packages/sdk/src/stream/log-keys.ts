import type { KeyVerifier } from '@trialkeep/ledger';
import { verifierOf } from '../verify/primitives.ts';
import { textOf } from './record.ts';
import type { StreamRecord } from './record.ts';

/** Most keys that are kept of those which a log named itself: as many as the notes that they sign have lines. */
export const maxLearnedKeys = 64;

/** An ML-DSA-44 key is the longest. */
export const isVerifierKey = (value: unknown): value is string =>
  typeof value === 'string' && /^[^\u0000-\u001f\u007f]{1,8192}$/u.test(value);

const beginning: ReadonlySet<string | undefined> = new Set(['ledger.rotate-key', 'ledger.add-key']);

/** The keys, as vkey lines, that a verified entry says sign its log from now on: docs/formats/ledger-entry.md, `logKeys`. */
export function keysBegunBy(record: StreamRecord): string[] {
  if (textOf(record, 'outcome') !== 'success' || !beginning.has(textOf(record, 'operation'))) return [];
  const { begins } = (record.members['logKeys'] ?? {}) as { readonly begins?: unknown };
  if (!Array.isArray(begins)) return [];
  return begins.filter(isVerifierKey).filter((key) => nameOf(key) === record.origin);
}

/** Undefined where it is no key, or of a kind that signs no checkpoint. */
function nameOf(verifierKey: string): KeyVerifier['name'] | undefined {
  try {
    return verifierOf(verifierKey).name;
  } catch {
    return undefined;
  }
}
