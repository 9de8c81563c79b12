import { createHash } from 'node:crypto';
import type { EncryptionContext } from '@trialkeep/crypto';
import { createTargetFile } from '../files.ts';
import type { TargetFile, TargetOptions } from '../files.ts';
import { meaningOf, openingFailures, sealingFailures } from './failure.ts';
import type { KeySource } from './keys.ts';
import { openSource } from './source.ts';
import type { SourceFile } from './source.ts';
import { startOpening, startSealing } from './stream.ts';
import type { ByteSource, OpenOptions, SealOptions } from './stream.ts';

interface FileOptions extends TargetOptions {
  /** The file to read. */
  readonly source: string;
  /** The file to write. It appears whole, or not at all; mode 0600. */
  readonly target: string;
  /** Whether the SHA-256 of the plaintext is wanted. */
  readonly digest?: boolean;
  /** Called after each piece of the source, with bytes. */
  onProgress?(done: number, total: number): void;
}
export interface SealFileOptions extends Omit<SealOptions, 'bytes'>, FileOptions {}
export interface OpenFileOptions extends OpenOptions, FileOptions {}

export interface SealedFile {
  /** Plaintext bytes. */
  readonly bytes: number;
  /** Bytes of the sealed file. */
  readonly sealedBytes: number;
  /** SHA-256 of the plaintext, hex, where it was asked for. */
  readonly sha256?: string;
  /** The version of the server's key that wrapped the data key; absent where no server took part. */
  readonly version?: number;
}

export interface OpenedFile {
  /** Plaintext bytes. */
  readonly bytes: number;
  /** SHA-256 of the plaintext, hex, where it was asked for. */
  readonly sha256?: string;
  /** The id of the server's key that released the data key, or the provider id of the recipient that did. */
  readonly key: string;
  /** The context that the message carries. */
  readonly context: EncryptionContext;
}

/**
 * Seals a file (AWS Encryption SDK message format 2.0). On any failure nothing is left under the
 * target's name; an existing target stays as it was.
 *
 * @throws SealError `seal.source_…`, `seal.target_…`, `seal.no_space`, `seal.context_invalid`; the errors of `keys`
 */
export async function sealFile(keys: KeySource, options: SealFileOptions): Promise<SealedFile> {
  const digest = options.digest === true ? createHash('sha256') : undefined;
  return transfer(options, sealingFailures, async (source, target) => {
    const plaintext =
      digest === undefined ? source.chunks() : tap(source.chunks(), (chunk) => digest.update(chunk));
    const { chunks, wrappedBy } = await startSealing(keys, plaintext, { ...options, bytes: source.bytes });
    const sealedBytes = await writeAll(target, chunks);
    await source.checkUnchanged();
    return {
      bytes: source.bytes,
      sealedBytes,
      ...(digest && { sha256: digest.digest('hex') }),
      ...(wrappedBy && { version: wrappedBy.version }),
    };
  });
}

/**
 * Opens a sealed file. On any failure nothing is left under the target's name, so that what is there is the whole
 * plaintext, authenticated to its last byte.
 *
 * @throws SealError `seal.source_…`, `seal.target_…`, `seal.no_space`, `seal.not_sealed`, `seal.damaged`, `seal.no_key`,
 * `seal.context_mismatch`; the errors of `keys`
 */
export async function openFile(keys: KeySource, options: OpenFileOptions): Promise<OpenedFile> {
  const digest = options.digest === true ? createHash('sha256') : undefined;
  return transfer(options, openingFailures, async (source, target) => {
    const { chunks, opened } = startOpening(keys, source.chunks(), {
      ...options,
      // Nothing is released before the target has its name.
      releaseBeforeSignature: true,
    });
    const plaintext = digest === undefined ? chunks : tap(chunks, (chunk) => digest.update(chunk));
    const bytes = await writeAll(target, plaintext);
    await source.checkUnchanged();
    const { key = '', context = {} } = opened;
    return { bytes, ...(digest && { sha256: digest.digest('hex') }), key, context };
  });
}

/** Runs `work` from source to target, commits the target if it succeeds, and leaves nothing of it otherwise. */
async function transfer<Result>(
  options: FileOptions & { readonly signal?: AbortSignal },
  failures: typeof openingFailures,
  work: (source: SourceFile, target: TargetFile) => Promise<Result>,
): Promise<Result> {
  const source = await openSource(options.source, options);
  try {
    const target = await createTargetFile(options.target, options);
    try {
      const result = await work(source, target);
      await target.commit();
      return result;
    } finally {
      await target.abandon();
    }
  } catch (error) {
    throw meaningOf(error, failures, options.source);
  } finally {
    await source.close();
  }
}

/** Bytes that are written together: a sealed frame comes in three parts, and each write costs. */
const batchBytes = 1024 * 1024;

/** Writes all chunks, some while the next ones are made. Returns their bytes. */
async function writeAll(target: TargetFile, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  let batch: Uint8Array[] = [];
  let waitingBytes = 0;
  let writing = Promise.resolve();
  try {
    for await (const chunk of chunks) {
      batch.push(chunk);
      waitingBytes += chunk.length;
      bytes += chunk.length;
      if (waitingBytes < batchBytes) continue;
      await writing;
      writing = target.write(...batch);
      // A failure is thrown by the await that follows; until then nobody listens.
      writing.catch(() => undefined);
      [batch, waitingBytes] = [[], 0];
    }
    await writing;
    await target.write(...batch);
  } finally {
    await writing;
  }
  return bytes;
}

async function* tap(source: ByteSource, look: (chunk: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    look(chunk);
    yield chunk;
  }
}
