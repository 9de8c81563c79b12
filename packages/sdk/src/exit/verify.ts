import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sdkError, TrialkeepError } from '../errors.ts';
import { systemCode } from '../files.ts';
import type { VerifierKeys } from '../verify/primitives.ts';
import { verifyFolder } from '../verify/verify-folder.ts';
import type { VerifyFolderResult } from '../verify/verify-folder.ts';
import { pagePath } from './manifest.ts';
import type { ExitManifest } from './manifest.ts';
import { readExitPackage, readSealedPage } from './package.ts';

export interface VerifyExitOptions {
  readonly folder: string;
  /** The log's keys as vkey lines, from a trusted place. */
  readonly verifierKey: VerifierKeys;
  onProgress?(done: number, total: number): void;
  readonly signal?: AbortSignal;
}

export interface VerifyExitResult {
  /** `failed` where anything is wrong; otherwise that of the log. */
  readonly verdict: VerifyFolderResult['verdict'];
  readonly manifest: ExitManifest;
  readonly ledger: VerifyFolderResult;
  /** A sentence for each thing that is wrong with the package beside the log. */
  readonly findings: readonly string[];
}

/**
 * Verifies an exit package with nothing but the log's verifier key: every page by its hash, the log, and that the log has taken up the
 * manifest. What the pages hold, only the recipient sees.
 *
 * @throws TrialkeepError `exit.package_unreadable`, `exit.package_invalid` where there is no manifest that can be read, and those of `verifyFolder`
 */
export async function verifyExit(options: VerifyExitOptions): Promise<VerifyExitResult> {
  const { folder, verifierKey, signal } = options;
  const found = await readExitPackage(folder);
  const { manifest } = found;
  const hash = Buffer.from(found.manifestHash).toString('hex');
  const findings = await strangers(folder, manifest.pages.length);
  for (const page of manifest.pages.keys()) {
    signal?.throwIfAborted();
    try {
      await readSealedPage(found, page);
    } catch (error) {
      if (!(error instanceof TrialkeepError)) throw error;
      findings.push(`${pagePath(page)} is not what was copied out.`);
    }
    options.onProgress?.(page + 1, manifest.pages.length);
  }
  let isTakenUp = false;
  const ledger = await verifyFolder({
    folder: join(folder, 'ledger'),
    verifierKey,
    onEntry: (_, entry) => {
      signal?.throwIfAborted();
      isTakenUp ||= saysCopied(entry, hash);
    },
  });
  if (ledger.origin !== manifest.origin) findings.push('The log is not that of the manifest.');
  if (!isTakenUp) findings.push('No entry of the log has taken up this manifest.');
  const verdict = findings.length > 0 ? 'failed' : ledger.verdict;
  return { verdict, manifest, ledger, findings };
}

function saysCopied(bytes: Uint8Array, hash: string): boolean {
  const text = Buffer.from(bytes).toString('utf8');
  if (!text.includes(hash)) return false;
  const entry = JSON.parse(text) as Record<string, unknown>;
  const { operation, outcome, state } = entry;
  return (
    operation === 'tenants.copy-exit' && outcome === 'success' && state === 'copied' && entry['hash'] === hash
  );
}

/** What lies among the pages and is none. */
async function strangers(folder: string, pages: number): Promise<string[]> {
  const expected = new Set(Array.from({ length: pages }, (_, page) => pagePath(page)));
  try {
    const names = await readdir(join(folder, 'pages'));
    return names
      .filter((name) => !expected.has(`pages/${name}`))
      .map((name) => `pages/${name} does not belong to the package.`);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw sdkError('exit.package_unreadable', { detail: systemCode(error), cause: error });
  }
}
