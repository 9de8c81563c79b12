import { createHash } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseEscrowRecipient } from '@trialkeep/crypto';
import { archiveLedger } from '../archive/archive.ts';
import { folderStore } from '../archive/folder-store.ts';
import type { Caller } from '../client/index.ts';
import { SealError, sdkError } from '../errors.ts';
import { createTargetFile, systemCode } from '../files.ts';
import { openRegularFile } from '../verify/folder.ts';
import { pagePath, parseExitManifest } from './manifest.ts';
import type { ExitManifest } from './manifest.ts';

export interface CopyExitOptions {
  readonly exit: string;
  /** Where the package goes; made where it is not there. */
  readonly folder: string;
  /** The public file of the escrow key, as it was given when the exit began. */
  readonly recipient: string;
  /** Of the log, as vkey lines from a trusted place; otherwise those that the server names. */
  readonly verifierKeys?: readonly string[];
  onProgress?(pages: number): void;
  readonly signal?: AbortSignal;
}

/**
 * Takes the whole copy of a tenant that leaves into a folder, page by page; the manifest is written last, so that what was interrupted is
 * no package, and is begun anew.
 *
 * @throws TrialkeepError `exit.package_present`, `exit.package_unwritable`, `exit.package_invalid` where the server's manifest does not
 * say what it sent, those of `archiveLedger` and of the calls
 */
export async function copyExit(client: Caller, options: CopyExitOptions): Promise<ExitManifest> {
  const { exit, folder, recipient, signal, verifierKeys } = options;
  const calling = signal === undefined ? {} : { signal };
  await begin(folder, recipient);
  const hashes: string[] = [];
  for (let page = 0; ; page++) {
    const answer = await client.call('tenants.copy-exit', { exit, page }, calling);
    if (answer.page === null) {
      const bytes = Buffer.from(answer.manifest ?? '', 'utf8');
      const manifest = parseExitManifest(bytes);
      const { id } = await parseEscrowRecipient(recipient);
      const isRight =
        manifest.exit === exit &&
        manifest.recipient === id &&
        manifest.pages.length === hashes.length &&
        manifest.pages.every(({ sha256 }, index) => sha256 === hashes[index]);
      if (!isRight) throw sdkError('exit.package_invalid', { detail: 'manifest.json' });
      const archiving = { ...calling, ...(verifierKeys !== undefined && { verifierKeys }) };
      await archiveLedger(client, folderStore(join(folder, 'ledger')), archiving);
      await write(join(folder, 'manifest.json'), bytes);
      return manifest;
    }
    const bytes = Buffer.from(answer.page, 'base64');
    hashes.push(createHash('sha256').update(bytes).digest('hex'));
    await write(join(folder, pagePath(page)), bytes);
    options.onProgress?.(page + 1);
  }
}

/** An empty package: what an interrupted copy has left goes. */
async function begin(folder: string, recipient: string): Promise<void> {
  try {
    await mkdir(join(folder, 'pages'), { recursive: true, mode: 0o700 });
    const present = await openRegularFile(join(folder, 'manifest.json'));
    await present?.close();
    if (present !== undefined) throw sdkError('exit.package_present', { detail: folder });
    for (const name of await readdir(join(folder, 'pages'))) {
      if (/^\d{6}\.sealed$|^\.trialkeep-.*\.part$/.test(name)) await rm(join(folder, 'pages', name));
    }
  } catch (error) {
    if (!/^E[A-Z]+$/.test(systemCode(error))) throw error;
    throw sdkError('exit.package_unwritable', { detail: systemCode(error), cause: error });
  }
  await write(join(folder, 'recipient.json'), Buffer.from(recipient, 'utf8'));
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  try {
    const file = await createTargetFile(path, { overwrite: true });
    try {
      await file.write(bytes);
      await file.commit();
    } finally {
      await file.abandon();
    }
  } catch (error) {
    const detail = `${path}: ${error instanceof SealError ? error.message : systemCode(error)}`;
    throw sdkError('exit.package_unwritable', { detail, cause: error });
  }
}
