import { createHash } from 'node:crypto';
import {
  CryptoError,
  decodeExitKeys,
  exitPageContext,
  firstOpened,
  nextOpened,
  openBytes,
  parseEscrowRecipient,
  signExitReceipt,
} from '@trialkeep/crypto';
import type { EscrowKey, ExitKey } from '@trialkeep/crypto';
import { folderStore } from '../archive/folder-store.ts';
import { sdkError, TrialkeepError } from '../errors.ts';
import { maxManifestBytes, pagePath, parseExitManifest } from './manifest.ts';
import type { ExitManifest } from './manifest.ts';

const maxRecipientBytes = 16_384;

/** A package whose manifest was read; nothing of it is proven by that. */
export interface ExitPackage {
  readonly folder: string;
  readonly manifest: ExitManifest;
  /** SHA-256 of the manifest's bytes. */
  readonly manifestHash: Uint8Array;
  /** The file, up to the bound. @throws TrialkeepError `exit.package_unreadable` */
  read(path: string, maxBytes: number): Promise<Uint8Array>;
}

/** @throws TrialkeepError `exit.package_unreadable`, `exit.package_invalid` */
export async function readExitPackage(folder: string): Promise<ExitPackage> {
  const store = folderStore(folder);
  const read = async (path: string, maxBytes: number): Promise<Uint8Array> => {
    let bytes: Uint8Array | undefined;
    try {
      bytes = await store.read(path, maxBytes);
    } catch (error) {
      throw sdkError('exit.package_unreadable', { detail: path, cause: error });
    }
    if (bytes === undefined) throw sdkError('exit.package_invalid', { detail: `${path} is missing` });
    return bytes;
  };
  const bytes = await read('manifest.json', maxManifestBytes + 1);
  const manifest = parseExitManifest(bytes);
  const recipient = await readRecipient(await read('recipient.json', maxRecipientBytes + 1));
  if (recipient !== manifest.recipient) throw sdkError('exit.package_invalid', { detail: 'recipient.json' });
  return { folder, manifest, manifestHash: createHash('sha256').update(bytes).digest(), read };
}

async function readRecipient(bytes: Uint8Array): Promise<string> {
  try {
    return (await parseEscrowRecipient(Buffer.from(bytes).toString('utf8'))).id;
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw sdkError('exit.package_invalid', { detail: 'recipient.json', cause: error });
  }
}

/** The sealed page as the manifest says it. @throws TrialkeepError `exit.package_unreadable`, `exit.package_invalid` */
export async function readSealedPage(from: ExitPackage, page: number): Promise<Uint8Array> {
  const expected = from.manifest.pages[page];
  const path = pagePath(page);
  if (expected === undefined) throw sdkError('exit.package_invalid', { detail: path });
  const bytes = await from.read(path, expected.bytes + 1);
  const hash = createHash('sha256').update(bytes).digest('hex');
  if (bytes.length !== expected.bytes || hash !== expected.sha256) {
    throw sdkError('exit.package_invalid', { detail: `${path} is not what was copied out` });
  }
  return bytes;
}

export interface OpenPackageOptions {
  /** Called with each page in clear, which is zeroed afterwards. */
  onRows?(lines: Buffer): Promise<void> | void;
  onKey?(key: ExitKey): void;
  onProgress?(done: number, total: number): void;
  readonly signal?: AbortSignal;
}

/** What opening every page has shown, and the receipt that says so. */
export interface ExitReceipt {
  readonly exit: string;
  /** Hexadecimal. */
  readonly opened: string;
  /** Ed25519, base64. */
  readonly signature: string;
  readonly keys: number;
  readonly rows: number;
}

/**
 * Opens every page with the private file's keys, counts what is in it, and tries every key with its probe; one page is in memory at a time.
 *
 * @throws TrialkeepError `exit.recipient_other`, `exit.package_invalid`, `exit.package_unreadable`
 */
export async function openExitPackage(
  from: ExitPackage,
  key: EscrowKey,
  options: OpenPackageOptions = {},
): Promise<ExitReceipt> {
  const { manifest, manifestHash } = from;
  if (key.publicPart.id !== manifest.recipient) throw sdkError('exit.recipient_other');
  const exit = Buffer.from(manifest.exit.replaceAll('-', ''), 'hex');
  const tenant = Buffer.from(manifest.tenant.replaceAll('-', ''), 'hex');
  let opened = firstOpened(exit);
  const seen = new Set<string>();
  let rows = 0;
  for (const [page, { part, records }] of manifest.pages.entries()) {
    options.signal?.throwIfAborted();
    const clear = await openPage(from, key, page);
    try {
      opened = nextOpened(opened, clear);
      let found = 0;
      if (part === 'rows') {
        for (const byte of clear) if (byte === 0x0a) found++;
        rows += found;
        await options.onRows?.(clear);
      } else {
        for (const each of keysOf(exit, clear, page)) {
          const name = nameOf(each);
          if (seen.has(name) || Buffer.compare(each.place.tenantId, tenant) !== 0) throw invalid(page);
          seen.add(name);
          options.onKey?.(each);
          found++;
        }
      }
      if (found !== records) throw invalid(page);
    } finally {
      clear.fill(0);
    }
    options.onProgress?.(page + 1, manifest.pages.length);
  }
  const listed = Object.values(manifest.rows).reduce((sum, count) => sum + count, 0);
  if (seen.size !== manifest.keys || rows !== listed) {
    throw sdkError('exit.package_invalid', { detail: 'the pages hold another number of records' });
  }
  const signature = signExitReceipt(key.signer, { exit, manifestHash, opened }).toString('base64');
  return { exit: manifest.exit, opened: opened.toString('hex'), signature, keys: seen.size, rows };
}

function nameOf({ place }: ExitKey): string {
  const [key, version] = [place.keyId, place.versionId].map((id) => Buffer.from(id).toString('hex'));
  return `${place.kind} ${key} ${version}`;
}

function invalid(page: number, cause?: unknown): TrialkeepError {
  return sdkError('exit.package_invalid', { detail: pagePath(page), cause });
}

function* keysOf(exit: Uint8Array, clear: Uint8Array, page: number): Generator<ExitKey> {
  try {
    yield* decodeExitKeys(exit, clear);
  } catch (error) {
    throw error instanceof CryptoError ? invalid(page, error) : error;
  }
}

async function openPage(from: ExitPackage, key: EscrowKey, page: number): Promise<Buffer> {
  const { manifest } = from;
  const part = manifest.pages[page]?.part ?? 'rows';
  const sealed = await readSealedPage(from, page);
  const wanted = exitPageContext({ exit: manifest.exit, page, part });
  try {
    return await openBytes(sealed, {
      requiredContext: wanted,
      dataKeyFor: async ({ context, encryptedDataKeys }) => {
        for (const each of encryptedDataKeys) {
          const dataKey = await key.identity.unwrap(each, context);
          if (dataKey !== undefined) return dataKey;
        }
        return undefined;
      },
    });
  } catch (error) {
    throw error instanceof CryptoError ? invalid(page, error) : error;
  }
}
