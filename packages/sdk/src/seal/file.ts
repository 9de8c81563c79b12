import { createHash } from 'node:crypto';
import type { EncryptionContext } from '@trialkeep/crypto';
import type { Caller } from '../client/index.ts';
import { createTargetFile } from '../files.ts';
import type { TargetFile, TargetOptions } from '../files.ts';
import { meaningOf, openingFailures, sealingFailures } from './failure.ts';
import { openSource } from './source.ts';
import type { SourceFile } from './source.ts';
import { startOpening, startSealing } from './stream.ts';
import type { ByteSource, OpenStreamOptions, SealStreamOptions } from './stream.ts';

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
export interface SealFileOptions extends SealStreamOptions, FileOptions {}
export interface OpenFileOptions extends OpenStreamOptions, FileOptions {}

export interface SealedFile {
  /** Plaintext bytes. */
  readonly bytes: number;
  /** Bytes of the sealed file. */
  readonly sealedBytes: number;
  /** SHA-256 of the plaintext, hex, where it was asked for. */
  readonly sha256?: string;
  /** The version of the key that wrapped the data key. */
  readonly version: number;
}

export interface OpenedFile {
  /** Plaintext bytes. */
  readonly bytes: number;
  /** SHA-256 of the plaintext, hex, where it was asked for. */
  readonly sha256?: string;
  /** The id of the key that released the data key. */
  readonly key: string;
  /** The context that the message carries. */
  readonly context: EncryptionContext;
}

/**
 * Seals a file under a data key of its own (AWS Encryption SDK message format 2.0). On any failure nothing is left under the
 * target's name; an existing target stays as it was.
 *
 * @throws SealError `seal.source_…`, `seal.target_…`, `seal.no_space`, `seal.context_invalid`; TrialkeepError of
 * `keys.generate-data-key`
 */
export async function sealFile(client: Caller, options: SealFileOptions): Promise<SealedFile> {
  const digest = options.digest === true ? createHash('sha256') : undefined;
  return transfer(options, sealingFailures, async (source, target) => {
    const plaintext =
      digest === undefined ? source.chunks() : tap(source.chunks(), (chunk) => digest.update(chunk));
    const { chunks, version } = await startSealing(client, plaintext, options);
    const sealedBytes = await writeAll(target, chunks);
    await source.checkUnchanged();
    return { bytes: source.bytes, sealedBytes, ...(digest && { sha256: digest.digest('hex') }), version };
  });
}

/**
 * Opens a sealed file. On any failure nothing is left under the target's name, so that what is there is the whole
 * plaintext, authenticated to its last byte.
 *
 * @throws SealError `seal.source_…`, `seal.target_…`, `seal.no_space`, `seal.not_sealed`, `seal.damaged`, `seal.no_key`,
 * `seal.context_mismatch`; TrialkeepError of `keys.decrypt-data-key`
 */
export async function openFile(client: Caller, options: OpenFileOptions): Promise<OpenedFile> {
  const digest = options.digest === true ? createHash('sha256') : undefined;
  return transfer(options, openingFailures, async (source, target) => {
    const { chunks, opened } = startOpening(client, source.chunks(), options);
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

/** Writes all chunks, each while the next one is made. Returns their bytes. */
async function writeAll(target: TargetFile, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  let writing = Promise.resolve();
  try {
    for await (const chunk of chunks) {
      await writing;
      writing = target.write(chunk);
      // A failure is thrown by the await that follows; until then nobody listens.
      writing.catch(() => undefined);
      bytes += chunk.length;
    }
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
