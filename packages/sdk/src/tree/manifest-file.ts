import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { parseMessageHeader } from '@trialkeep/crypto';
import type { EncryptionContext, MessageHeader } from '@trialkeep/crypto';
import { SealError } from '../errors.ts';
import { meaningOf, openingFailures } from '../seal/failure.ts';
import type { KeySource, OpeningKey } from '../seal/keys.ts';
import { openSource } from '../seal/source.ts';
import { startOpening } from '../seal/stream.ts';
import type { ManifestCopy } from './manifest-copy.ts';
import { isTreeId, manifestName, manifestPair } from './layout.ts';
import { readEntries } from './manifest.ts';
import type { ManifestEntry } from './manifest.ts';

export interface ManifestFileOptions {
  /** The folder of the sealed tree. */
  readonly source: string;
  /** Pairs that it must carry. */
  readonly context?: EncryptionContext;
  /** Whether it must be signed. */
  readonly signed?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Is given what is read, for it to be read again. */
  readonly copy?: ManifestCopy;
  /** What it was when it was read before: its copy is read, whatever is in the folder by now. */
  readonly before?: { readonly facts: ManifestFacts; readonly copy: ManifestCopy };
}

/** What is known of a manifest that has been read to its end. */
export interface ManifestFacts {
  readonly tree: string;
  /** SHA-256 of its file, hexadecimal. */
  readonly sha256: string;
  /** What opened it. It opens it again without being asked for, or put on the record, anew. */
  readonly key: Pick<OpeningKey, 'dataKey' | 'key'>;
  /** Whether it was signed, and the signature verified. */
  readonly signed: boolean;
}

/**
 * Reads the manifest of a sealed tree, and hands each entry on as soon as it is authenticated. Until the end was reached without an
 * error nobody may act on an entry.
 *
 * @throws SealError `seal.not_a_tree`, `seal.manifest_invalid`, `seal.other_tree`, `seal.source_…`, and those of opening a file
 */
export async function readManifest(
  keys: KeySource,
  options: ManifestFileOptions,
  onEntry: (entry: ManifestEntry) => Promise<void> | void,
): Promise<ManifestFacts> {
  const path = join(options.source, manifestName);
  const { signal, context = {}, before, copy } = options;
  const source = await openSource(before?.copy.path ?? path, { ...(signal && { signal }) }).catch(
    (error: unknown) => {
      const missing = error instanceof SealError && error.code === 'seal.source_missing';
      throw missing ? new SealError('seal.not_a_tree', options.source, { cause: error }) : error;
    },
  );
  try {
    const hash = createHash('sha256');
    let header: MessageHeader | undefined;
    const chunks = async function* (): AsyncGenerator<Buffer, void, undefined> {
      for await (const chunk of source.chunks()) {
        header ??= headerOf(chunk);
        hash.update(chunk);
        await copy?.write(chunk);
        yield chunk;
      }
    };
    let key: OpeningKey | undefined;
    const manifestKeys: KeySource = {
      sealingKey: (...request) => keys.sealingKey(...request),
      openingKey: async (...request) => before?.facts.key ?? (key = await keys.openingKey(...request)),
    };
    const { chunks: plaintext } = startOpening(manifestKeys, chunks(), {
      context,
      signed: options.signed === true,
      ...(signal && { signal }),
      // Nobody acts on an entry before the end was reached, once.
      releaseBeforeSignature: true,
    });
    for await (const entry of readEntries(plaintext)) await onEntry(entry);
    await source.checkUnchanged();
    const tree = header?.context[manifestPair];
    const { dataKey, key: name } = before?.facts.key ?? key ?? {};
    if (header === undefined || !isTreeId(tree) || dataKey === undefined || name === undefined)
      throw new SealError('seal.manifest_invalid', path, { detail: 'it names no tree' });
    return {
      tree,
      sha256: hash.digest('hex'),
      key: { dataKey, key: name },
      signed: signerName in header.context,
    };
  } catch (error) {
    throw meaningOf(error, openingFailures, path);
  } finally {
    await source.close();
  }
}

/** The pair in which a signed message names its verification key. */
const signerName = 'aws-crypto-public-key';

/** The first chunk of a file holds its header, unless that is longer than any that opens. */
function headerOf(chunk: Buffer): MessageHeader | undefined {
  const header = parseMessageHeader(chunk);
  return header === 'more' ? undefined : header;
}
