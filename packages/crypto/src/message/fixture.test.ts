/** What the tests of sealed messages share. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  CryptoError,
  generateMessageSigner,
  openBytes,
  openMessage,
  openRanges,
  parseMessageHeader,
  sealBytes,
  type MessageHeader,
  type RandomAccessSource,
  type SealOptions,
} from '../index.ts';

export const suites = ['0x0478', '0x0578'] as const;
export type SuiteName = (typeof suites)[number];

const recipient = { providerId: 'test', providerInfo: Buffer.from('key 1'), ciphertext: randomBytes(20) };

/** Options with a fresh data key; with a fresh signer for the signed suite. */
export function freshOptions(
  change: Partial<SealOptions> = {},
  suite: SuiteName = '0x0478',
): SealOptions & { dataKey: Buffer } {
  const { context = { study: 'TK-1' }, ...rest } = change;
  const options = { encryptedDataKeys: [recipient], ...rest, dataKey: randomBytes(32) };
  if (suite === '0x0478') return { ...options, context };
  const signer = generateMessageSigner();
  return { ...options, context: signer.contextWith(context), signer };
}

/** The chunks of `data` in a size; the chunks are views. */
export function* inChunks(data: Uint8Array, size: number): Generator<Uint8Array> {
  for (let start = 0; start < data.length; start += size) yield data.subarray(start, start + size);
}

/** One chunk, chunks of a size, or one byte after the other: none of it may matter. */
export const chunkSizes = (data: Uint8Array) => [
  data.length || 1,
  ...(data.length < 20_000 ? [7, 1] : [65_536, 1021]),
];

/** A message in memory, as ranges are read of it, with a list of what was read. */
export function inMemory(
  message: Uint8Array,
): RandomAccessSource & { reads: { position: number; length: number }[] } {
  const reads: { position: number; length: number }[] = [];
  return {
    size: message.length,
    reads,
    read: async (position, length) => {
      assert.ok(length > 0 && position >= 0 && position + length <= message.length, 'a read beyond the size');
      reads.push({ position, length });
      return Uint8Array.prototype.slice.call(message, position, position + length);
    },
  };
}

export function headerOf(message: Uint8Array): MessageHeader {
  const header = parseMessageHeader(message);
  assert.ok(header !== 'more');
  return header;
}

/** Header, frames and footer of a message, each in memory of its own. */
export function partsOf(message: Buffer): { header: Buffer; frames: Buffer[]; footer: Buffer } {
  const { headerBytes, frameBytes } = headerOf(message);
  const frames: Buffer[] = [];
  let position = headerBytes;
  for (let final = false; !final;) {
    final = message.readUInt32BE(position) === 0xffff_ffff;
    const length = final ? 40 + message.readUInt32BE(position + 20) : 32 + frameBytes;
    frames.push(Buffer.from(message.subarray(position, position + length)));
    position += length;
  }
  return {
    header: Buffer.from(message.subarray(0, headerBytes)),
    frames,
    footer: Buffer.from(message.subarray(position)),
  };
}

/** What one way of opening released, from which place of the plaintext on, and how it ended. */
export interface Outcome {
  readonly way: string;
  readonly start: number;
  readonly released: Buffer;
  readonly error: unknown;
}

async function outcome(way: string, start: number, chunks: AsyncIterable<Buffer>): Promise<Outcome> {
  const released: Buffer[] = [];
  try {
    for await (const chunk of chunks) released.push(chunk);
  } catch (error) {
    return { way, start, released: Buffer.concat(released), error };
  }
  return { way, start, released: Buffer.concat(released), error: undefined };
}

/** Opens a message as a whole, as a stream, by one range and by ranges of a size; errors become outcomes. */
export async function openEveryWay(
  message: Uint8Array,
  dataKey: Uint8Array,
  rangeBytes = 16,
): Promise<Outcome[]> {
  const dataKeyFor = () => dataKey;
  async function* whole(): AsyncGenerator<Buffer> {
    yield await openBytes(message, { dataKeyFor });
  }
  async function* range(start: number, end?: number): AsyncGenerator<Buffer> {
    const ranges = await openRanges(inMemory(message), { dataKeyFor, ignoreSignature: true });
    yield* ranges.read(start, end);
  }
  const stream = openMessage([message], { dataKeyFor, releaseBeforeSignature: true });
  const outcomes = [
    await outcome('whole', 0, whole()),
    await outcome('stream', 0, stream),
    await outcome('every byte by range', 0, range(0)),
  ];
  for (const start of [0, rangeBytes, 2 * rangeBytes]) {
    outcomes.push(await outcome('range', start, range(start, start + rangeBytes)));
  }
  return outcomes;
}

/**
 * Asserts of an altered message: whole and stream end in a typed error and release no more than a beginning, and
 * whatever any way released is what was sealed at that place.
 *
 * @param rangesToo whether the alteration is one that reading every byte by range must notice
 */
export async function assertRefused(
  altered: Uint8Array,
  sealed: { dataKey: Uint8Array; plaintext: Uint8Array },
  rangesToo = true,
): Promise<void> {
  for (const { way, start, released, error } of await openEveryWay(altered, sealed.dataKey)) {
    const expected = sealed.plaintext.subarray(start, start + released.length);
    assert.ok(released.equals(expected), `${way} released what was not sealed`);
    assert.ok(error === undefined || error instanceof CryptoError, `${way}: not a typed error`);
    const mustFail = way !== 'range' && (rangesToo || way !== 'every byte by range');
    if (!mustFail) continue;
    assert.ok(error !== undefined, `${way} noticed nothing`);
    assert.ok(released.length < Math.max(1, sealed.plaintext.length), `${way} released everything`);
    if (way === 'whole') assert.equal(released.length, 0);
  }
}

/** A message of three frames, the last a short one. */
export async function sealThreeFrames(
  suite: SuiteName,
  options = freshOptions({ frameBytes: 16 }, suite),
): Promise<{ dataKey: Buffer; plaintext: Buffer; message: Buffer }> {
  const plaintext = randomBytes(40);
  return { dataKey: options.dataKey, plaintext, message: await sealBytes(plaintext, options) };
}

/** All chunks in one buffer. */
export async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}
