import { parseCertificates } from '@trialkeep/crypto';
import type { Policy } from '@trialkeep/ledger';
import { evidenceFindingTexts, maxFileBytes, verifyEvidence } from '@trialkeep/sdk/evidence';
import type { EvidenceResult } from '@trialkeep/sdk/evidence';
import { CliError } from './errors.ts';
import { readInput } from './input.ts';
import { Exit } from './io.ts';
import type { Io } from './io.ts';
import { isoTime, print, printable } from './output.ts';
import type { OutputOptions } from './output.ts';

interface DocumentOptions extends OutputOptions {
  readonly checkpoint?: string;
  readonly prunedBelow?: number;
  readonly entry?: string;
  readonly tsaRoots?: string;
}

const maxRootsBytes = 1 << 20;

export function isPdf(path: string): boolean {
  return /\.pdf$/i.test(path);
}

/** Verifies an evidence document, and ends with status 1 where it fails. */
export async function verifyDocument(
  io: Io,
  path: string,
  options: DocumentOptions,
  believed: { readonly verifierKey?: readonly string[]; readonly policy?: Policy },
): Promise<void> {
  const { checkpoint, prunedBelow, entry, tsaRoots } = options;
  if (checkpoint !== undefined || prunedBelow !== undefined || entry !== undefined) {
    throw new CliError('cli.usage', { detail: 'an evidence document is verified by --key and --policy' });
  }
  const pdf = await readInput(io, path, maxFileBytes);
  const roots = tsaRoots === undefined ? undefined : await readInput(io, tsaRoots, maxRootsBytes);
  const result = await verifyEvidence({
    pdf,
    ...believed,
    ...(roots !== undefined && { timestampRoots: parseCertificates(roots.toString('utf8')) }),
  });
  const { verdict, findings, overview, proof, timestamp } = result;
  const shown = {
    verdict,
    findings,
    ...(overview !== undefined && { hash: overview.hash, document: overview.document }),
    ...(proof !== undefined && {
      entry: proof.index,
      checkpoint: {
        origin: proof.checkpoint.origin,
        size: proof.checkpoint.size,
        root: Buffer.from(proof.checkpoint.root).toString('base64'),
      },
      cosignatures: proof.cosignatures,
    }),
    ...(timestamp !== undefined && { timestamp }),
  };
  await print(io, options, shown, () => report(result));
  if (verdict === 'failed') throw new Exit(1);
}

const verdicts = {
  verified: 'verified: the ledger holds this content, and the witnesses of the policy saw it',
  consistent: 'consistent: the ledger holds this content; that the log has a single history is unproven',
  failed: 'failed: this document does not hold',
} as const;

/** The verdict in its first line, then what the document is, what it rests on, and what was found. */
function report({ verdict, findings, overview, proof, timestamp }: EvidenceResult): string {
  const lines: string[] = [verdicts[verdict]];
  if (overview !== undefined) {
    const { id, kind, made, title } = overview.document;
    lines.push(`title    ${title}`, `kind     ${kind}`, `document ${id}, made ${isoTime(made.time)}`);
    lines.push(`SHA-256  ${overview.hash}`);
  }
  if (proof !== undefined) {
    const { origin, size } = proof.checkpoint;
    lines.push(`ledger   entry ${proof.index} of ${origin}, under a checkpoint of ${size} entries`);
    for (const { witness, time } of proof.cosignatures) {
      lines.push(`witness  ${witness}${time === 0 ? '' : ` at ${isoTime(time * 1000)}`}`);
    }
  }
  if (timestamp !== undefined) lines.push(`time     ${isoTime(timestamp.time)}, says ${timestamp.authority}`);
  for (const { code, severity, sentence } of findings) lines.push(`${severity}: ${sentence} [${code}]`);
  for (const fix of new Set(findings.map(({ code }) => evidenceFindingTexts[code].fix)))
    lines.push(`fix: ${fix}`);
  return printable(lines.join('\n'));
}
