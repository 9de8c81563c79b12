import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { lstat, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ed25519PublicKey, generateKey } from '@trialkeep/crypto';
import { sdkError, TrialkeepError } from '../errors.ts';
import { createTargetFile, syncFolder, systemCode } from '../files.ts';
import { lockFile } from '../lock.ts';
import { Spool, segmentNames } from './spool.ts';

/** A reporter's folder that this process holds. */
export interface ReporterFolder {
  /** The public key, hexadecimal. */
  readonly id: string;
  readonly key: KeyObject;
  readonly spool: Spool;
  close(): Promise<void>;
}

const keyName = 'reporter.pem';

/**
 * Takes a reporter's folder for this process.
 *
 * @param options.make whether it is made, with a key for the reporter, where there is none
 * @throws TrialkeepError `receipts.folder_in_use`, `receipts.folder_unusable`, `receipts.damaged`
 */
export async function openFolder(
  path: string,
  { make }: { readonly make: boolean },
): Promise<ReporterFolder> {
  if (make) await makeFolder(path);
  const lock = lockFolder(path);
  try {
    const key = await readKey(path, make);
    const id = ed25519PublicKey(key).toString('hex');
    const spool = await Spool.open(path, id);
    const close = async (): Promise<void> => {
      await spool.close();
      lock.release();
    };
    return { id, key, spool, close };
  } catch (error) {
    lock.release();
    throw systemCode(error) === '' || error instanceof TrialkeepError ? error : unusable(path, error);
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
    await syncFolder(dirname(path));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw unusable(path, error);
  }
}

function lockFolder(path: string): { release(): void } {
  let lock: { release(): void } | undefined;
  try {
    lock = lockFile(join(path, 'lock'));
  } catch (error) {
    throw unusable(path, error);
  }
  if (lock === undefined) throw sdkError('receipts.folder_in_use', { detail: path });
  return lock;
}

/** The reporter's key; where it may be made, a new one in a folder that has neither a key nor receipts. */
async function readKey(path: string, make: boolean): Promise<KeyObject> {
  const file = join(path, keyName);
  const found = await lstat(file).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined && make && (await segmentNames(path)).length === 0) return makeKey(path, file);
  if (found === undefined) throw sdkError('receipts.damaged', { detail: `${file} is missing` });
  if (!found.isFile() || (found.mode & 0o077) !== 0) {
    throw sdkError('receipts.folder_unusable', { detail: `${file} can be read by other accounts` });
  }
  const pem = await readFile(file);
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(pem);
  } catch {
    // OpenSSL's reasons help nobody here; the file is named below.
  }
  if (key?.asymmetricKeyType !== 'ed25519') throw sdkError('receipts.damaged', { detail: file });
  return key;
}

async function makeKey(path: string, file: string): Promise<KeyObject> {
  const key = generateKey('ED25519');
  const target = await createTargetFile(file).catch((error: unknown) => {
    throw unusable(path, error);
  });
  try {
    await target.write(Buffer.from(key.export({ format: 'pem', type: 'pkcs8' })));
    await target.commit();
  } catch (error) {
    throw unusable(path, error);
  } finally {
    await target.abandon();
  }
  return key;
}

function unusable(path: string, error: unknown): Error {
  const reason = systemCode(error);
  return sdkError('receipts.folder_unusable', {
    detail: reason === '' ? path : `${path}: ${reason}`,
    cause: error,
  });
}
