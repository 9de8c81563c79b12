import { findingTexts, maxNoteBytes } from '@trialkeep/ledger';
import { verifyFolder } from '@trialkeep/sdk/verify';
import type { VerifyFolderResult } from '@trialkeep/sdk/verify';
import type { Command } from 'commander';
import { readInput } from '../input.ts';
import { Exit } from '../io.ts';
import type { Io } from '../io.ts';
import { print, printable } from '../output.ts';
import { signatureLines } from '../signature-lines.ts';
import type { OutputOptions } from '../output.ts';
import { startProgress } from '../progress.ts';
import { addVerb } from '../verb.ts';

interface VerifyCommandOptions extends OutputOptions {
  readonly key: string;
  readonly checkpoint?: string;
}

export function register(program: Command, io: Io): void {
  addVerb(
    program,
    'verify <folder>',
    'verify an exported ledger, offline: nothing but the folder, the key and the checkpoint',
  )
    .requiredOption('--key <vkey>', "the log's verifier key, from a trusted place")
    .option(
      '--checkpoint <file>',
      'a checkpoint that was kept earlier, out of reach of whoever could alter the folder',
    )
    .addHelpText(
      'after',
      '\nExit status 0 only where the ledger is verified or consistent and no electronic signature is false or missing.',
    )
    .action(async (folder: string, options: VerifyCommandOptions) => {
      const { key: verifierKey, checkpoint } = options;
      const kept = checkpoint === undefined ? undefined : await readInput(io, checkpoint, maxNoteBytes);
      const progress = await startProgress(io, options, 'verifying', 'entries');
      const verifying = verifyFolder({
        folder,
        verifierKey,
        ...(kept !== undefined && { keptCheckpoint: kept }),
        onProgress: (done, total) => {
          io.signal.throwIfAborted();
          progress.update(done, total);
        },
      });
      const result = await verifying.finally(() => progress.stop());
      const { root, ...rest } = result;
      const shown = { ...rest, ...(root !== undefined && { root: Buffer.from(root).toString('base64') }) };
      await print(io, options, shown, () => report(result));
      if (result.verdict === 'failed') throw new Exit(1);
    });
}

/** The verdict in its first line, then what it rests on, then what was found. */
function report({
  verdict,
  origin,
  size,
  root,
  entriesChecked,
  findings,
  findingsOmitted,
  signatures,
}: VerifyFolderResult): string {
  const isLogWhole = entriesChecked === size && !findings.some(({ severity }) => severity === 'failure');
  const verdicts = {
    verified: 'verified: a continuation of the kept checkpoint',
    consistent: 'consistent; freshness and single history unproven',
    failed: isLogWhole
      ? 'failed: the ledger is whole, and its electronic signatures are not'
      : 'failed: this is not the ledger that was signed',
  };
  const lines: string[] = [verdicts[verdict]];
  if (origin !== undefined && root !== undefined) {
    lines.push(`ledger  ${origin}`, `root    ${Buffer.from(root).toString('base64')}`);
    lines.push(`entries ${entriesChecked} of ${size} are proven to stand where the log committed to them`);
  }
  const fixes = new Set<string>();
  for (const { code, severity, sentence } of findings) {
    lines.push(`${severity}: ${sentence} [${code}]`);
    fixes.add(findingTexts[code].fix);
  }
  if (findingsOmitted > 0) lines.push(`and ${findingsOmitted} more findings.`);
  for (const fix of fixes) lines.push(`fix: ${fix}`);
  lines.push(...signatureLines(signatures));
  return printable(lines.join('\n'));
}
