import { openEscrowKey } from '@trialkeep/crypto';
import { operations } from '@trialkeep/sdk/client';
import type { Operations, Output } from '@trialkeep/sdk/client';
import { copyExit, exitKeys, openExitPackage, readExitPackage, verifyExit } from '@trialkeep/sdk/exit';
import type { ExitManifest, ExitReceipt } from '@trialkeep/sdk/exit';
import { createTargetFile } from '@trialkeep/sdk/files';
import { openFile } from '@trialkeep/sdk/seal';
import { Option } from 'commander';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { readInput, readSecrets } from '../input.ts';
import { Exit } from '../io.ts';
import type { Io } from '../io.ts';
import { folderReport } from '../ledger-report.ts';
import { isoTime, list, print, printable } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { startProgress } from '../progress.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, addVerb, gather, parseInteger, reasonOption } from '../verb.ts';

type ExitView = Output<Operations['tenants.exit']>;

interface BeginOptions extends SessionOptions {
  readonly recipient: string;
  readonly uses?: 'process' | 'none';
  readonly reason: string;
}

interface CopyOptions extends SessionOptions {
  readonly out: string;
  readonly recipient: string;
  readonly key?: readonly string[];
}

interface ReasonOptions extends SessionOptions {
  readonly reason: string;
  readonly waitingDays?: number;
}

interface IdentityOptions extends OutputOptions {
  readonly identity: string;
  readonly out: string;
}

/** Longest file of an escrow pair or receipt that is read, bytes. */
const maxFileBytes = 65_536;

export function register(program: Command, io: Io): void {
  const exit = program
    .command('exit')
    .description('leave: a complete copy out, verified by who gets it, and then the end of all keys');
  registerSteps(exit, io);
  registerCopy(exit, io);
  registerVerify(exit, io);
  registerOffline(exit, io);
}

function registerSteps(exit: Command, io: Io): void {
  addServerVerb(exit, 'begin', operations['tenants.exit'].summary)
    .requiredOption('--recipient <file>', 'the public file of the escrow key that the copy is sealed to')
    .addOption(
      new Option('--uses <which>', 'whether keys still open what they protected, until they go').choices([
        'process',
        'none',
      ]),
    )
    .addOption(reasonOption(true))
    .action(async (options: BeginOptions) => {
      const { client } = await connect(io, options);
      const recipient = await readText(io, options.recipient);
      const reason = await readReason(io, options.reason);
      const { uses } = options;
      const asked = { recipient, reason, ...(uses !== undefined && { uses }) };
      const answer = await client.call('tenants.exit', asked);
      await print(io, options, answer, () => lines(answer));
    });

  addServerVerb(exit, 'state', operations['tenants.exit-state'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const answer = await client.call('tenants.exit-state', {});
      await print(io, options, answer, () => lines(answer));
    },
  );

  addServerVerb(exit, 'confirm <receipt>', operations['tenants.confirm-exit'].summary).action(
    async (path: string, options: SessionOptions) => {
      const receipt = await readReceipt(io, path);
      const { client } = await connect(io, options);
      const answer = await client.call('tenants.confirm-exit', receipt);
      await print(io, options, answer, () => lines(answer));
    },
  );

  addServerVerb(exit, 'shred', operations['tenants.shred'].summary)
    .option('--waiting-days <days>', 'from the approval on; 30 by default', parseInteger(7, 30))
    .addOption(reasonOption(true))
    .action(async (options: ReasonOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const { exit: id } = await client.call('tenants.exit-state', {});
      const { waitingDays } = options;
      const asked = { exit: id, reason, ...(waitingDays !== undefined && { waitingDays }) };
      const answer = await client.call('tenants.shred', asked);
      await print(io, options, answer, () => lines(answer));
    });

  addServerVerb(exit, 'cancel', operations['tenants.cancel-exit'].summary)
    .addOption(reasonOption(true))
    .action(async (options: ReasonOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const { exit: id } = await client.call('tenants.exit-state', {});
      const answer = await client.call('tenants.cancel-exit', { exit: id, reason });
      await print(io, options, answer, () => lines(answer));
    });
}

function registerCopy(exit: Command, io: Io): void {
  addServerVerb(exit, 'copy', 'take the complete copy into a folder; what was interrupted is begun anew')
    .requiredOption('--out <folder>', 'where the package goes')
    .requiredOption(
      '--recipient <file>',
      'the public file of the escrow key, as it was given at the beginning',
    )
    .option(
      '--key <vkey>',
      "the log's verifier keys, from a trusted place; otherwise those that the server names",
      gather,
    )
    .action(async (options: CopyOptions) => {
      const { client } = await connect(io, options);
      const recipient = await readText(io, options.recipient);
      const { exit: id } = await client.call('tenants.exit-state', {});
      const progress = await startProgress(io, options, 'copying', 'pages');
      const copying = copyExit(client, {
        exit: id,
        folder: options.out,
        recipient,
        ...(options.key !== undefined && { verifierKeys: options.key }),
        signal: io.signal,
        onProgress: (pages) => progress.update(pages, pages),
      });
      const manifest = await copying.finally(() => progress.stop());
      await print(io, options, shown(manifest), () => packageLines(manifest, 'copied'));
    });
}

function registerVerify(exit: Command, io: Io): void {
  addVerb(exit, 'verify <folder>', 'verify a package, offline: nothing but the folder and the key of the log')
    .requiredOption(
      '--key <vkey>',
      "the log's verifier key, from a trusted place; several: any one is enough",
      gather,
    )
    .action(async (folder: string, options: OutputOptions & { readonly key: readonly string[] }) => {
      const progress = await startProgress(io, options, 'verifying', 'pages');
      const verifying = verifyExit({
        folder,
        verifierKey: options.key,
        signal: io.signal,
        onProgress: (done, total) => progress.update(done, total),
      });
      const { verdict, manifest, ledger, findings } = await verifying.finally(() => progress.stop());
      const { root: _, ...log } = ledger;
      await print(io, options, { verdict, ...shown(manifest), findings, ledger: log }, () =>
        [packageLines(manifest, verdict), ...findings.map(printable), folderReport(ledger)].join('\n'),
      );
      if (verdict === 'failed') throw new Exit(1);
    });
}

function registerOffline(exit: Command, io: Io): void {
  identityVerb(exit, 'receipt <folder>', 'open every page and try every key, offline; write the receipt')
    .requiredOption('--out <file>', 'where the receipt goes')
    .action(async (folder: string, options: IdentityOptions) => {
      const key = await readIdentity(io, options.identity);
      const found = await readExitPackage(folder);
      const progress = await startProgress(io, options, 'opening', 'pages');
      const opening = openExitPackage(found, key, {
        signal: io.signal,
        onProgress: (done, total) => progress.update(done, total),
      });
      const receipt = await opening.finally(() => progress.stop());
      await write(options.out, Buffer.from(`${JSON.stringify(receipt)}\n`));
      await print(io, options, receipt, () => receiptLines(receipt, options.out));
    });

  identityVerb(exit, 'open <folder> <file>', 'open a sealed file with the keys of a package, offline')
    .requiredOption('--out <file>', 'where the opened file goes')
    .action(async (folder: string, source: string, options: IdentityOptions) => {
      const key = await readIdentity(io, options.identity);
      const keys = await exitKeys(await readExitPackage(folder), key, io.signal);
      const opened = await openFile(keys, { source, target: options.out, signal: io.signal });
      await print(io, options, opened, () => printable(`${source} is opened: ${options.out}`));
    });

  identityVerb(exit, 'rows <folder>', 'write the rows of a package in clear, a line of JSON each, offline')
    .requiredOption('--out <file>', 'where the rows go')
    .action(async (folder: string, options: IdentityOptions) => {
      const key = await readIdentity(io, options.identity);
      const file = await createTargetFile(options.out);
      try {
        const receipt = await openExitPackage(await readExitPackage(folder), key, {
          signal: io.signal,
          onRows: (rows) => file.write(rows),
        });
        await file.commit();
        const { rows } = receipt;
        await print(io, options, { rows, out: options.out }, () => printable(`${rows} rows: ${options.out}`));
      } finally {
        await file.abandon();
      }
    });
}

function identityVerb(exit: Command, name: string, summary: string): Command {
  return addVerb(exit, name, summary)
    .requiredOption('--identity <file>', 'the private file of the escrow key')
    .addHelpText(
      'after',
      '\nThe passphrase is asked for on a terminal, and otherwise is the one line of standard input.',
    );
}

async function readIdentity(io: Io, path: string) {
  const privateFile = await readText(io, path);
  const [passphrase] = await readSecrets(io, ['passphrase']);
  return openEscrowKey(privateFile, passphrase);
}

async function readText(io: Io, path: string): Promise<string> {
  return (await readInput(io, path, maxFileBytes)).toString('utf8');
}

async function readReceipt(io: Io, path: string) {
  const text = await readText(io, path);
  try {
    const { exit, opened, signature } = JSON.parse(text) as ExitReceipt;
    return { exit, opened, signature };
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error;
    throw new CliError('cli.input_invalid', {
      detail: 'it is no receipt',
      fix: 'Name the file that `trialkeep exit receipt` has written.',
    });
  }
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  const file = await createTargetFile(path);
  try {
    await file.write(bytes);
    await file.commit();
  } finally {
    await file.abandon();
  }
}

function lines({ exit, state, uses, pages, recipient, manifest, dueAt, changedAt }: ExitView): string {
  return list({
    exit,
    state,
    since: isoTime(changedAt),
    uses,
    pages,
    recipient,
    ...(manifest !== null && { manifest }),
    ...(dueAt !== null && { 'keys go': isoTime(dueAt) }),
  });
}

function shown({ exit, tenant, origin, keys, rows, unexportable, pages }: ExitManifest) {
  return { exit, tenant, origin, pages: pages.length, keys, unexportable, rows };
}

function packageLines(manifest: ExitManifest, verdict: string): string {
  const { exit, tenant, origin, keys, pages, unexportable } = manifest;
  const rows = Object.values(manifest.rows).reduce((sum, count) => sum + count, 0);
  const counts = { pages: pages.length, rows, keys, 'keys that stay in an HSM': unexportable };
  return printable(`${verdict}\n${list({ exit, tenant, ledger: origin, ...counts })}`);
}

function receiptLines({ keys, rows }: ExitReceipt, out: string): string {
  return printable(`All of it opens: ${rows} rows and ${keys} keys, each tried. The receipt is in ${out}.`);
}
