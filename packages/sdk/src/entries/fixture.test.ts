/** What the tests of entries share: entries of every kind, as the server writes them. */
import { createHash } from 'node:crypto';
import type { LedgerEntry } from './entry.ts';
import { canonicalText } from '@trialkeep/ledger';

export const hex = (text: string): string => createHash('sha256').update(text).digest('hex');
export const id = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
export const subject = 'a'.repeat(32);
export const origin = 'example.org/ledger/test';

/** Canonical text of an entry with these members beside what every entry has. */
export function entryText(
  number: number,
  members: Partial<LedgerEntry> | Record<string, unknown> = {},
): string {
  const text = canonicalText({
    commitment: hex(`commitment ${number}`),
    entry: id(number),
    operation: 'keys.list',
    outcome: 'success',
    payload: hex(`payload ${number}`),
    time: Date.UTC(2026, 2, 1) + number * 1000,
    v: 1,
    ...members,
  });
  if (text === undefined) throw new Error('No canonical text.');
  return text;
}

const use = { actor: id(900), role: 'service', key: id(901), study: id(902), subject, system: id(903) };

/** One entry after another of every kind, `count` in all. */
export function entryTexts(count: number): string[] {
  const each: Record<string, unknown>[] = [
    { ...use, operation: 'keys.decrypt-data-key', class: 'ecg', purpose: 'analysis', version: 1 },
    { ...use, operation: 'keys.decrypt', class: 'ecg' },
    { ...use, operation: 'keys.encrypt', class: 'form' },
    {
      ...use,
      operation: 'uses.report',
      class: 'ecg',
      attested: { count: 2, sequence: 1, time: Date.UTC(2026, 1, 28), use: 'open' },
      reporter: hex('reporter'),
      hash: hex('receipt'),
      dataKey: hex('data key'),
    },
    { ...use, operation: 'keys.decrypt', outcome: 'refused', code: 'key.revoked' },
    { operation: 'keys.rotate', key: id(901), reason: 'policy', state: 'active', version: 2 },
    { operation: 'sessions.create', actor: id(904), person: id(904), session: id(905), role: 'auditor' },
    { operation: 'subjects.create', actor: id(900), study: id(902), subject: 'b'.repeat(32) },
  ];
  return Array.from({ length: count }, (_, i) => entryText(i, each[i % each.length]));
}
