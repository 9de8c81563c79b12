import { timestampFindingTexts } from '@trialkeep/sdk/verify';
import type { TimestampsResult } from '@trialkeep/sdk/verify';

/** What verification says about the timestamps of an export, line by line; nothing where it has none. */
export function timestampLines(timestamps: TimestampsResult): string[] {
  const { present, checked, verified, newest, findings, findingsOmitted } = timestamps;
  if (present === 0 && findings.length === 0) return [];
  const lines = [
    checked
      ? `timestamps  ${verified} of ${present} are verified`
      : `timestamps  ${present}, none of them believed: --tsa-roots is not given`,
  ];
  if (newest !== undefined) {
    const { size, time, accuracyMs, authority } = newest;
    const accuracy = accuracyMs === undefined ? '' : ` ± ${accuracyMs / 1000} s`;
    lines.push(
      `stamped     entries below ${size} existed at ${new Date(time).toISOString()}${accuracy}, says ${authority}`,
    );
  }
  for (const { code, severity, sentence } of findings) lines.push(`${severity}: ${sentence} [${code}]`);
  if (findingsOmitted > 0) lines.push(`and ${findingsOmitted} more findings about timestamps.`);
  for (const code of new Set(findings.map((finding) => finding.code))) {
    lines.push(`fix: ${timestampFindingTexts[code].fix}`);
  }
  return lines;
}
