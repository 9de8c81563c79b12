import { stat } from 'node:fs/promises';
import { parseCertificates } from '@trialkeep/crypto';
import type { Certificate } from '@trialkeep/crypto';
import { maxEntryBytes, maxNoteBytes, maxPolicyBytes, maxProofBytes, parsePolicy } from '@trialkeep/ledger';
import type { Policy } from '@trialkeep/ledger';
import { sha256, verifyFolder, verifyProof } from '@trialkeep/sdk/verify';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { readInput } from '../input.ts';
import { Exit } from '../io.ts';
import type { Io } from '../io.ts';
import { folderReport, proofReport } from '../ledger-report.ts';
import { print } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { startProgress } from '../progress.ts';
import { addVerb, gather, parseInteger } from '../verb.ts';
import { isPdf, verifyDocument } from '../verify-evidence.ts';

interface VerifyCommandOptions extends OutputOptions {
  readonly key?: readonly string[];
  readonly policy?: string;
  readonly checkpoint?: string;
  readonly prunedBelow?: number;
  readonly entry?: string;
  readonly tsaRoots?: string;
}

/** Longest file of root certificates. */
const maxRootsBytes = 1024 * 1024;

/** Whom to believe, as the SDK takes it. */
interface Believed {
  readonly verifierKey?: readonly string[];
  readonly policy?: Policy;
}

export function register(program: Command, io: Io): void {
  addVerb(
    program,
    'verify <folder|proof|document>',
    'verify an exported ledger, an evidence document or the proof of one entry, offline: nothing but the files, the keys and the checkpoint',
  )
    .option(
      '--key <vkey>',
      "the log's verifier key, from a trusted place; several: any one is enough",
      gather,
    )
    .option('--policy <file>', 'logs, witnesses and which of them must have cosigned (C2SP tlog-policy)')
    .option(
      '--checkpoint <file>',
      'a checkpoint that was kept earlier, out of reach of whoever could alter the folder',
    )
    .option(
      '--pruned-below <index>',
      'minimum index of a pruned log: what is missing below it is not checked',
      parseInteger(0, 999_999_999_999_999),
    )
    .option(
      '--tsa-roots <file>',
      'root certificates of the time-stamping authorities, PEM, from a trusted place',
    )
    .option('--entry <file>', 'the entry that a proof is of; otherwise standard input')
    .addHelpText(
      'after',
      '\nA .pdf file is an evidence document, another file a proof (C2SP tlog-proof), a folder a log (C2SP tlog-tiles). A key or a policy that names the log is needed.\n' +
        'Exit status 0 only where the ledger is verified or consistent and no electronic signature is false or missing.',
    )
    .action(async (path: string, options: VerifyCommandOptions) => {
      const believed = await readBelieved(io, options);
      if (isPdf(path)) await verifyDocument(io, path, options, believed);
      else if (await isFile(path)) await verifyProofFile(io, path, options, believed);
      else await verifyLedger(io, path, options, believed);
    });
}

async function readBelieved(io: Io, { key, policy }: VerifyCommandOptions): Promise<Believed> {
  if (key === undefined && policy === undefined) {
    throw new CliError('cli.usage', { detail: '--key or --policy is needed' });
  }
  const rules = policy === undefined ? undefined : await readInput(io, policy, maxPolicyBytes);
  return {
    ...(key !== undefined && { verifierKey: key }),
    ...(rules !== undefined && { policy: parsePolicy(sha256, rules) }),
  };
}

async function verifyLedger(
  io: Io,
  folder: string,
  options: VerifyCommandOptions,
  believed: Believed,
): Promise<void> {
  const { checkpoint, prunedBelow, entry } = options;
  if (entry !== undefined) throw new CliError('cli.usage', { detail: '--entry goes with a proof' });
  const kept = checkpoint === undefined ? undefined : await readInput(io, checkpoint, maxNoteBytes);
  const timestampRoots = await readRoots(io, options);
  const progress = await startProgress(io, options, 'verifying', 'entries');
  const verifying = verifyFolder({
    folder,
    ...believed,
    ...(kept !== undefined && { keptCheckpoint: kept }),
    ...(prunedBelow !== undefined && { prunedBelow }),
    ...(timestampRoots !== undefined && { timestampRoots }),
    onProgress: (done, total) => {
      io.signal.throwIfAborted();
      progress.update(done, total);
    },
  });
  const result = await verifying.finally(() => progress.stop());
  const { root, ...rest } = result;
  const shown = { ...rest, ...(root !== undefined && { root: base64(root) }) };
  await print(io, options, shown, () => folderReport(result));
  if (result.verdict === 'failed') throw new Exit(1);
}

async function readRoots(io: Io, { tsaRoots }: VerifyCommandOptions): Promise<Certificate[] | undefined> {
  if (tsaRoots === undefined) return undefined;
  return parseCertificates((await readInput(io, tsaRoots, maxRootsBytes)).toString('utf8'));
}

async function verifyProofFile(
  io: Io,
  path: string,
  options: VerifyCommandOptions,
  believed: Believed,
): Promise<void> {
  if (options.checkpoint !== undefined || options.prunedBelow !== undefined) {
    throw new CliError('cli.usage', { detail: '--checkpoint and --pruned-below go with a folder' });
  }
  const proof = await readInput(io, path, maxProofBytes);
  const entry = await readInput(io, options.entry, maxEntryBytes);
  const checked = await verifyProof({ proof, entry, ...believed });
  const { checkpoint, index, cosignatures, quorum, freshAt } = checked;
  const { origin, size, root } = checkpoint;
  const result = {
    verdict: quorum === 'met' ? 'verified' : 'consistent',
    origin,
    size,
    root: base64(root),
    index,
    cosignatures,
    freshAt,
  };
  await print(io, options, result, () => proofReport(checked));
}

/** Whether something other than a folder is there. What is not there is for the verifier to report. */
async function isFile(path: string): Promise<boolean> {
  try {
    return !(await stat(path)).isDirectory();
  } catch {
    return path.endsWith('.tlog-proof');
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
