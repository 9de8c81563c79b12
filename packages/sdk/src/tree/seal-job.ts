import { createHash } from 'node:crypto';
import type { Hash, KeyObject } from 'node:crypto';
import { closeSync, constants, fstatSync, fsyncSync, openSync, rmSync } from 'node:fs';
import { parseMessageHeader, sealMessage } from '@trialkeep/crypto';
import type { EncryptedDataKey, EncryptionContext } from '@trialkeep/crypto';
import { EntryError, failureOf, FilePieces, GatheringWriter, reading, writing } from './job.ts';
import type { Failure, JobTools } from './job.ts';
import { bytesIn, fileState } from './look-job.ts';
import type { FileState } from './look-job.ts';
import { bytesOf } from './name.ts';
import type { Bytes } from './name.ts';
import { hexOf } from './layout.ts';
import { createObject, openFolderSync } from './object-folders.ts';
import type { NewObject } from './object-folders.ts';

/** Sealing files of the source, each as an object of its own. */

export interface SealItem {
  readonly path: Bytes;
  /** What the file was when it was seen. */
  readonly state: FileState;
  /** Whether a link is followed: for what a person named, never below. */
  readonly follow: boolean;
}

export interface SealInput {
  /** The folder of the tree's objects. */
  readonly objects: string;
  readonly dataKey: KeyObject;
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
  readonly context: EncryptionContext;
  /** Whether the SHA-256 of the plaintext is wanted. */
  readonly digest: boolean;
  /** Whether each object is flushed to the disk by itself. */
  readonly flush: boolean;
  readonly items: readonly SealItem[];
}

/** An object that is complete, and not yet flushed to the disk. */
export interface SealedObject {
  /** Message id and commitment, 32 bytes each, hexadecimal. */
  readonly id: string;
  readonly commitment: string;
  readonly sealedBytes: number;
  /** SHA-256 of the plaintext, hexadecimal, where it was wanted. */
  readonly sha256?: string | undefined;
}

export async function sealFiles(input: SealInput, tools: JobTools): Promise<(SealedObject | Failure)[]> {
  let objects: number;
  try {
    objects = writing(() => openFolderSync(input.objects));
  } catch (error) {
    const failure = failureOf(error);
    return input.items.map(() => failure);
  }
  try {
    const outcomes: (SealedObject | Failure)[] = [];
    for (const item of input.items)
      outcomes.push(await sealFile({ ...input, folder: objects }, item, tools).catch(failureOf));
    return outcomes;
  } finally {
    closeSync(objects);
  }
}

interface OpenInput extends SealInput {
  /** The folder of the tree's objects, open. */
  readonly folder: number;
}

async function sealFile(input: OpenInput, item: SealItem, tools: JobTools): Promise<SealedObject> {
  const source = openFile(item.path, item.follow);
  const bytes = bytesIn(item.state);
  const pieces = new FilePieces(source, bytes);
  try {
    const check = (): void => checkState(source, item.state);
    check();
    const digest = input.digest ? createHash('sha256') : undefined;
    const object = await writeObject(input, plaintextOf(pieces, bytes, tools, digest), check);
    return { ...object, sha256: digest?.digest('hex') };
  } finally {
    pieces.release();
    closeSync(source);
  }
}

/** Without waiting for the other end, where it is a pipe by now. */
function openFile(path: Bytes, follow: boolean): number {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_NOCTTY } = constants;
  return reading(() => openSync(bytesOf(path), O_RDONLY | O_NONBLOCK | O_NOCTTY | (follow ? 0 : O_NOFOLLOW)));
}

function checkState(source: number, expected: FileState): void {
  const found = reading(() => fstatSync(source, { bigint: true }));
  if (!found.isFile() || fileState(found) !== expected) throw new EntryError('seal.source_changed');
}

function* plaintextOf(
  pieces: FilePieces,
  bytes: number,
  tools: JobTools,
  digest: Hash | undefined,
): Generator<Buffer, void, undefined> {
  let done = 0;
  tools.advance(0);
  for (const piece of pieces.read()) {
    done += piece.length;
    if (done > bytes) throw new EntryError('seal.source_changed');
    digest?.update(piece);
    yield piece;
    tools.advance(piece.length);
  }
}

/** Writes an object under the name of its message id. Nothing is left of it unless `check` passes at the end. */
async function writeObject(
  input: OpenInput,
  plaintext: Iterable<Buffer>,
  check: () => void,
): Promise<SealedObject> {
  let created: NewObject | undefined;
  let whole = false;
  try {
    let object: Pick<SealedObject, 'id' | 'commitment'> | undefined;
    let writer: GatheringWriter | undefined;
    for await (const chunk of sealMessage(plaintext, input)) {
      if (writer === undefined) {
        const { id, commitment } = bindingOf(chunk);
        object = { id, commitment };
        created = writing(() => createObject(input.folder, id));
        writer = new GatheringWriter(created.file);
      }
      writer.write(chunk);
    }
    if (object === undefined || writer === undefined) throw new Error('A message begins with its header.');
    writer.flush();
    check();
    if (input.flush) writing(() => fsyncSync(writer.file));
    whole = true;
    return { ...object, sealedBytes: writer.bytes };
  } finally {
    if (created !== undefined) {
      closeSync(created.file);
      if (!whole) rmSync(created.path, { force: true });
      closeSync(created.folder);
    }
  }
}

/** What binds a message to its entry, from its header. */
function bindingOf(header: Buffer): Pick<SealedObject, 'id' | 'commitment'> {
  const parsed = parseMessageHeader(header);
  if (parsed === 'more') throw new Error('The first chunk of a message is its header.');
  return { id: hexOf(parsed.messageId), commitment: hexOf(parsed.commitment) };
}
