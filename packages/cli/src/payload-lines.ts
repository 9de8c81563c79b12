import { payloadFindingTexts } from '@trialkeep/sdk/verify';
import type { PayloadsResult } from '@trialkeep/sdk/verify';

/** What verification says about the payloads of an export, line by line; nothing where it has none. */
export function payloadLines(payloads: PayloadsResult): string[] {
  const { exported, checked, erased, redacted, withheld, findings, findingsOmitted } = payloads;
  if (!exported) return [];
  const gone = Object.entries({ erased, redacted, withheld }).filter(([, count]) => count > 0);
  const lines = [
    `payloads    ${[`${checked} are the ones committed to`, ...gone.map(([state, count]) => `${count} ${state}`)].join('; ')}`,
  ];
  for (const { code, severity, sentence } of findings) lines.push(`${severity}: ${sentence} [${code}]`);
  if (findingsOmitted > 0) lines.push(`and ${findingsOmitted} more findings about payloads.`);
  for (const code of new Set(findings.map((finding) => finding.code))) {
    lines.push(`fix: ${payloadFindingTexts[code].fix}`);
  }
  return lines;
}
