import { createHash } from 'node:crypto';
import type { Hash, KeyObject } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { openMessage, parseMessageHeader } from '@trialkeep/crypto';
import type { EncryptedDataKey, EncryptionContext, MessageHeader } from '@trialkeep/crypto';
import { systemCode } from '../files.ts';
import { hexOf } from './layout.ts';
import { EntryError, failureOf, FilePieces, isFailure, reading } from './job.ts';
import type { Failure, JobTools } from './job.ts';
import type { Bytes } from './name.ts';
import { restoreFile, restoreLink } from './restore-job.ts';
import type { RestoredFile, RestorePlace } from './restore-job.ts';

/** Opening objects: to restore files and links, or to check only. */

export interface OpenFileItem extends RestoredFile {
  readonly kind: 'file';
  /** The file of the object. */
  readonly object: string;
  /** Message id and commitment of the object, hexadecimal. */
  readonly id: string;
  readonly commitment: string;
  /** SHA-256 of the plaintext, hexadecimal, where the manifest has it. */
  readonly sha256?: string | undefined;
  /** Where it is restored; undefined where it is only checked. */
  readonly place?: RestorePlace | undefined;
}
export interface OpenLinkItem {
  readonly kind: 'link';
  readonly target: Bytes;
  /** ns since 1970. */
  readonly time: string;
  readonly place: RestorePlace;
}

export interface OpenInput {
  /** Pairs that each object must carry. */
  readonly context: EncryptionContext;
  readonly items: readonly (OpenFileItem | OpenLinkItem)[];
}

export interface Opened {
  /** Whether it was there already, and stayed. */
  readonly kept: boolean;
}

/** An object whose header has been read, and fits its entry. */
interface OpenObject {
  readonly file: number;
  readonly bytes: number;
  readonly header: MessageHeader;
}

export async function openFiles(input: OpenInput, tools: JobTools): Promise<(Opened | Failure)[]> {
  const objects = input.items.map((item) =>
    item.kind === 'file' ? attempt(() => openObject(item, input.context)) : undefined,
  );
  try {
    const keys = await keysOf(objects, tools);
    const outcomes: (Opened | Failure)[] = [];
    for (const [index, item] of input.items.entries()) {
      try {
        outcomes.push(
          item.kind === 'link'
            ? { kept: restoreLink(item.place, item) }
            : {
                kept: await openOne(
                  item,
                  required(objects[index]),
                  required(keys.get(index)),
                  input.context,
                  tools,
                ),
              },
        );
      } catch (error) {
        outcomes.push(failureOf(error));
      }
    }
    return outcomes;
  } finally {
    for (const object of objects) if (object !== undefined && !isFailure(object)) closeSync(object.file);
  }
}

/** The data keys of those objects that have a header, by their index. Many objects have one data key, which is asked for once. */
async function keysOf(
  objects: readonly (OpenObject | Failure | undefined)[],
  tools: JobTools,
): Promise<ReadonlyMap<number, KeyObject | Failure>> {
  const groups: { readonly message: MessageHeader; readonly of: number[] }[] = [];
  for (const [index, object] of objects.entries()) {
    if (object === undefined || isFailure(object)) continue;
    const group = groups.find(({ message }) => hasSameKeys(message, object.header));
    if (group === undefined) groups.push({ message: object.header, of: [index] });
    else group.of.push(index);
  }
  const wanted = groups.map(({ message, of }) => ({ message, uses: of.length }));
  const keys = wanted.length === 0 ? [] : await tools.openingKeys(wanted);
  const noKey: Failure = { failure: 'seal.no_key' };
  return new Map(groups.flatMap(({ of }, at) => of.map((index) => [index, keys[at] ?? noKey] as const)));
}

/** Whether two messages carry the same data key for the same recipients, under the same context. */
function hasSameKeys(a: MessageHeader, b: MessageHeader): boolean {
  const pairs = Object.entries(a.context);
  return (
    pairs.length === Object.keys(b.context).length &&
    pairs.every(([name, value]) => b.context[name] === value) &&
    a.encryptedDataKeys.length === b.encryptedDataKeys.length &&
    a.encryptedDataKeys.every((key, index) => isSameKey(key, b.encryptedDataKeys[index]))
  );
}

function isSameKey(a: EncryptedDataKey, b: EncryptedDataKey | undefined): boolean {
  return (
    b !== undefined &&
    a.providerId === b.providerId &&
    Buffer.compare(a.providerInfo, b.providerInfo) === 0 &&
    Buffer.compare(a.ciphertext, b.ciphertext) === 0
  );
}

/** What was found, unless finding it failed. */
function required<Found extends object>(found: Found | Failure | undefined): Found {
  if (found === undefined) throw new EntryError('seal.no_key');
  if (isFailure(found)) throw new EntryError(found.failure, found.detail);
  return found;
}

function attempt<Result extends object>(work: () => Result): Result | Failure {
  try {
    return work();
  } catch (error) {
    return failureOf(error);
  }
}

function openObject(item: OpenFileItem, context: EncryptionContext): OpenObject {
  const file = openRegularFile(item.object);
  try {
    const bytes = Number(reading(() => fstatSync(file, { bigint: true }).size));
    const header = readHeader(file);
    // What binds the object to its entry.
    if (hexOf(header.messageId) !== item.id || hexOf(header.commitment) !== item.commitment) {
      throw new EntryError('seal.damaged', 'another object lies in its place');
    }
    for (const [name, value] of Object.entries(context)) {
      if (header.context[name] !== value) throw new EntryError('seal.context_mismatch', name);
    }
    return { file, bytes, header };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function openRegularFile(path: string): number {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_NOCTTY } = constants;
  let file: number;
  try {
    file = openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new EntryError('seal.object_missing');
    if (code === 'ELOOP' || code === 'ENXIO') throw new EntryError('seal.damaged', 'not a regular file');
    throw code === '' ? error : new EntryError('seal.source_unreadable', code);
  }
  if (fstatSync(file).isFile()) return file;
  closeSync(file);
  throw new EntryError('seal.damaged', 'not a regular file');
}

/** Enough for most headers. */
const usualHeaderBytes = 4096;

function readHeader(file: number): MessageHeader {
  for (let size = usualHeaderBytes; ; size *= 4) {
    const buffer = Buffer.allocUnsafe(size);
    const length = reading(() => readSync(file, buffer, 0, size, 0));
    const header = parseMessageHeader(buffer.subarray(0, length));
    if (header !== 'more') return header;
    if (length < size) throw new EntryError('seal.damaged', 'it ends within its header');
  }
}

/** @returns whether the file was there already */
async function openOne(
  item: OpenFileItem,
  object: OpenObject,
  key: KeyObject,
  requiredContext: EncryptionContext,
  tools: JobTools,
): Promise<boolean> {
  const pieces = new FilePieces(object.file, object.bytes);
  const plaintext = (): AsyncGenerator<Buffer> => {
    const message = openMessage(pieces.read(), { dataKeyFor: () => key, requiredContext });
    return checkedPlaintext(item, message, tools);
  };
  try {
    if (item.place !== undefined) return await restoreFile(item.place, item, plaintext);
    for await (const _ of plaintext()) continue;
    return false;
  } finally {
    pieces.release();
  }
}

/** The plaintext as it is authenticated; it ends with an error where it is not what the entry says. */
async function* checkedPlaintext(
  item: OpenFileItem,
  chunks: AsyncIterable<Buffer>,
  tools: JobTools,
): AsyncGenerator<Buffer, void, undefined> {
  const hash: Hash | undefined = item.sha256 === undefined ? undefined : createHash('sha256');
  let bytes = 0;
  tools.advance(0);
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > item.bytes) throw new EntryError('seal.damaged', 'longer than its entry says');
    hash?.update(chunk);
    yield chunk;
    tools.advance(chunk.length);
  }
  if (bytes < item.bytes) throw new EntryError('seal.damaged', 'shorter than its entry says');
  if (item.sha256 !== undefined && hash?.digest('hex') !== item.sha256)
    throw new EntryError('seal.damaged', 'its digest is not the one of its entry');
}
