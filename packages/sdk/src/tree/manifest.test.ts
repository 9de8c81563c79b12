import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { SealError } from '../errors.ts';
import { encodeEntry, encodeManifestStart, readEntries } from './manifest.ts';
import type { ManifestEntry } from './manifest.ts';

interface Vectors {
  readonly valid: readonly {
    readonly name: string;
    readonly manifest: string;
    readonly entries: readonly VectorEntry[];
  }[];
  readonly refused: readonly { readonly name: string; readonly manifest: string }[];
}
type VectorEntry = Readonly<Record<string, string | number | boolean>>;
const vectors = JSON.parse(
  readFileSync(new URL('../../../../vectors/sealed-tree.json', import.meta.url), 'utf8'),
) as Vectors;

async function read(manifest: Uint8Array, chunkBytes = manifest.length): Promise<ManifestEntry[]> {
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < manifest.length; at += chunkBytes) yield manifest.subarray(at, at + chunkBytes);
  };
  const entries: ManifestEntry[] = [];
  for await (const entry of readEntries(chunks())) entries.push(entry);
  return entries;
}

async function assertInvalid(manifest: Uint8Array, what: string): Promise<void> {
  await assert.rejects(
    read(manifest),
    (error) => error instanceof SealError && error.code === 'seal.manifest_invalid',
    what,
  );
}

/** As the vectors write an entry: bytes in hexadecimal, times in nanoseconds as text. */
function shown(entry: ManifestEntry): VectorEntry {
  const bytesOf = (text: string) => Buffer.from(text, 'latin1').toString('hex');
  switch (entry.kind) {
    case 'end':
      return { ...entry };
    case 'missing':
      return { ...entry, name: bytesOf(entry.name) };
    case 'link':
      return {
        ...entry,
        name: bytesOf(entry.name),
        target: bytesOf(entry.target),
        timeNs: String(entry.timeNs),
      };
    case 'folder':
      return { ...entry, name: bytesOf(entry.name), timeNs: String(entry.timeNs) };
    case 'file': {
      const { sha256, ...rest } = entry;
      return {
        ...rest,
        name: bytesOf(entry.name),
        timeNs: String(entry.timeNs),
        ...(sha256 !== undefined && { sha256 }),
      };
    }
  }
}

for (const { name, manifest, entries } of vectors.valid) {
  test(`manifest vector: ${name} [URS-047]`, async () => {
    const bytes = Buffer.from(manifest, 'hex');
    for (const chunkBytes of [bytes.length, 1, 7]) {
      const found = await read(bytes, chunkBytes);
      assert.deepEqual(found.map(shown), entries);
      const digests = found.some((entry) => entry.kind === 'file' && entry.sha256 !== undefined);
      const again = Buffer.concat([
        encodeManifestStart(digests),
        ...found.map((entry) => encodeEntry(entry)),
      ]);
      assert.deepEqual(again, bytes);
    }
    for (let length = 0; length < bytes.length; length++)
      await assertInvalid(bytes.subarray(0, length), `cut at ${length}`);
    await assertInvalid(Buffer.concat([bytes, Buffer.of(0)]), 'lengthened');
  });
}

for (const { name, manifest } of vectors.refused) {
  test(`manifest refused: ${name} [URS-047]`, () => assertInvalid(Buffer.from(manifest, 'hex'), name));
}

test('noise, and any manifest with a byte changed, is refused or reads as another one', async () => {
  const good = Buffer.from(vectors.valid.at(-1)?.manifest ?? '', 'hex');
  const before = (await read(good)).map(shown);
  const damaged = fc.record({ at: fc.nat(good.length - 1), by: fc.integer({ min: 1, max: 255 }) });
  await fc.assert(
    fc.asyncProperty(damaged, async ({ at, by }) => {
      const bytes = Buffer.from(good);
      bytes.writeUInt8(bytes.readUInt8(at) ^ by, at);
      try {
        assert.notDeepEqual((await read(bytes)).map(shown), before);
      } catch (error) {
        assert.ok(error instanceof SealError, String(error));
      }
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (noise) => {
      const bytes = Buffer.concat([encodeManifestStart(false), noise]);
      await read(bytes).catch((error: unknown) => assert.ok(error instanceof SealError, String(error)));
    }),
  );
});
