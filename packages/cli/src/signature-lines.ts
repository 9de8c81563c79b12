import { signatureFindingTexts } from '@trialkeep/sdk/verify';
import type { SignaturesResult } from '@trialkeep/sdk/verify';

/** What verification says about the electronic signatures of an export, line by line. */
export function signatureLines(signatures: SignaturesResult): string[] {
  const { signed, checked, missing, exported, findings, findingsOmitted } = signatures;
  const lines: string[] = [];
  if (signed > 0 || findings.length > 0) {
    lines.push(
      `signatures  ${checked} of ${signed} are verified${missing > 0 ? `; records missing: ${missing}` : ''}`,
    );
  }
  if (!exported && signed > 0) lines.push('The export has no file of signatures.');
  for (const { code, severity, sentence } of findings) lines.push(`${severity}: ${sentence} [${code}]`);
  if (findingsOmitted > 0) lines.push(`and ${findingsOmitted} more findings about signatures.`);
  for (const code of new Set(findings.map((finding) => finding.code))) {
    lines.push(`fix: ${signatureFindingTexts[code].fix}`);
  }
  return lines;
}
