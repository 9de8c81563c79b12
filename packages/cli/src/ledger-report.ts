import { findingTexts } from '@trialkeep/ledger';
import type { CheckedProof, Cosignature } from '@trialkeep/ledger';
import type { VerifyFolderResult } from '@trialkeep/sdk/verify';
import { payloadLines } from './payload-lines.ts';
import { printable } from './output.ts';
import { signatureLines } from './signature-lines.ts';
import { timestampLines } from './timestamp-lines.ts';

/** What verification says about a ledger: the verdict in its first line, then what it rests on, then what was found. */
export function folderReport(result: VerifyFolderResult): string {
  const { origin, size, root, entriesChecked, entriesPruned, findings, findingsOmitted } = result;
  const lines: string[] = [verdictOf(result)];
  if (origin !== undefined && root !== undefined) {
    lines.push(`ledger  ${origin}`, `root    ${Buffer.from(root).toString('base64')}`);
    lines.push(`entries ${entriesChecked} of ${size} are proven to stand where the log committed to them`);
  }
  if (entriesPruned > 0) lines.push(`pruned  ${entriesPruned} entries were not checked`);
  lines.push(...witnessLines(result.cosignatures, result.freshAt));
  const fixes = new Set<string>();
  for (const { code, severity, sentence } of findings) {
    lines.push(`${severity}: ${sentence} [${code}]`);
    fixes.add(findingTexts[code].fix);
  }
  if (findingsOmitted > 0) lines.push(`and ${findingsOmitted} more findings.`);
  for (const fix of fixes) lines.push(`fix: ${fix}`);
  lines.push(...signatureLines(result.signatures), ...payloadLines(result.payloads));
  lines.push(...timestampLines(result.timestamps));
  return printable(lines.join('\n'));
}

function verdictOf(result: VerifyFolderResult): string {
  const { verdict, freshness, findings, entriesChecked, entriesPruned, size, signatures, payloads } = result;
  if (verdict === 'verified') {
    return freshness === 'witnesses'
      ? 'verified: cosigned by the witnesses that the policy asks for'
      : 'verified: a continuation of the kept checkpoint';
  }
  if (verdict === 'consistent') return 'consistent; freshness and single history unproven';
  const failures = findings.filter(({ severity }) => severity === 'failure');
  if (entriesChecked + entriesPruned === size) {
    if (failures.length > 0 && failures.every(({ code }) => code === 'policy.quorum')) {
      return 'failed: the ledger is whole, and too few witnesses stand behind it';
    }
    if (failures.length === 0 && signatures.failed) {
      return 'failed: the ledger is whole, and its electronic signatures are not';
    }
    if (failures.length === 0 && payloads.failed)
      return 'failed: the ledger is whole, and its payloads are not';
    if (failures.length === 0 && result.timestamps.failed)
      return 'failed: the ledger is whole, and its timestamps are not';
  }
  return 'failed: this is not the ledger that was signed';
}

/** What a proof shows, in the same order. */
export function proofReport({ checkpoint, index, quorum, cosignatures, freshAt }: CheckedProof): string {
  const { origin, size, root } = checkpoint;
  return printable(
    [
      quorum === 'met'
        ? 'verified: cosigned by the witnesses that the policy asks for'
        : 'consistent; freshness and single history unproven',
      `ledger  ${origin}`,
      `root    ${Buffer.from(root).toString('base64')}`,
      `entry   ${index} of ${size} is this one`,
      ...witnessLines(cosignatures, freshAt),
    ].join('\n'),
  );
}

function witnessLines(cosignatures: readonly Cosignature[], freshAt: number | undefined): string[] {
  const lines = cosignatures.map(({ witness, time }) => `witness ${witness}, ${timeOf(time)}`);
  if (freshAt !== undefined) lines.push(`fresh   as of ${timeOf(freshAt)}, by enough of these witnesses`);
  return lines;
}

/** A time that a witness stated, seconds; 0 is none, and beyond the year 275760 there is no calendar. */
function timeOf(seconds: number): string {
  if (seconds === 0) return 'without a time';
  return seconds <= 8_640_000_000_000
    ? new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
    : `second ${seconds}`;
}
