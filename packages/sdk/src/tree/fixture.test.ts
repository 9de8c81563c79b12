import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { SealError } from '../errors.ts';
import type { SdkErrorCode } from '../errors.ts';
import { inFolder, StandInKeys } from '../seal/fixture.test.ts';
import { cachedKeys, serverKeys } from '../seal/index.ts';
import type { CachedKeys } from '../seal/index.ts';
import type { TreeFinding } from './index.ts';

/** What these tests use: trees on disk, described by values. Names are bytes, one per character. */

export type Sample =
  | { readonly kind: 'file'; readonly content: Uint8Array; readonly mode?: number; readonly seconds?: number }
  | { readonly kind: 'link'; readonly target: string; readonly seconds?: number }
  | { readonly kind: 'folder'; readonly entries: Samples; readonly mode?: number; readonly seconds?: number };
export type Samples = Readonly<Record<string, Sample>>;

export const file = (content: string | Uint8Array, mode?: number): Sample => ({
  kind: 'file',
  content: Buffer.from(content as string),
  ...(mode !== undefined && { mode }),
});
export const link = (target: string): Sample => ({ kind: 'link', target });
export const folder = (entries: Samples, mode?: number): Sample => ({
  kind: 'folder',
  entries,
  ...(mode !== undefined && { mode }),
});

const raw = (path: string): Buffer => Buffer.from(path, 'latin1');

/** Makes the entries in a folder that is there. */
export function make(root: string, entries: Samples): void {
  for (const [name, sample] of Object.entries(entries)) {
    const path = raw(`${root}/${name}`);
    if (sample.kind === 'folder') {
      mkdirSync(path);
      make(`${root}/${name}`, sample.entries);
    } else if (sample.kind === 'link') symlinkSync(raw(sample.target), path);
    else writeFileSync(path, sample.content);
    const seconds = sample.seconds === undefined ? undefined : String(sample.seconds);
    if (sample.kind !== 'link' && sample.mode !== undefined) chmodSync(path, sample.mode);
    if (seconds === undefined) continue;
    if (sample.kind === 'link') lutimesSync(path, seconds, seconds);
    else utimesSync(path, seconds, seconds);
  }
}

/** Every entry below a folder: path, kind, mode, content; times in microseconds where they are wanted. */
export function describeTree(root: string, times = true): string[] {
  const lines: string[] = [];
  const visit = (path: string, shown: string): void => {
    for (const name of readdirSync(raw(path), { encoding: 'latin1' }).sort()) {
      const at = raw(`${path}/${name}`);
      const found = lstatSync(at, { bigint: true });
      const mode = (found.mode & 0o7777n).toString(8);
      // A restored time may be the least bit late.
      const time = times ? String((found.mtimeNs + 300n) / 1000n) : '';
      const what = found.isSymbolicLink()
        ? `link ${readlinkSync(at, { encoding: 'latin1' })}`
        : found.isDirectory()
          ? `folder ${mode}`
          : found.isFile()
            ? `file ${mode} ${createHash('sha256').update(readFileSync(at)).digest('hex')}`
            : 'special';
      lines.push(`${shown}${name} ${what} ${time}`);
      if (found.isDirectory()) visit(`${path}/${name}`, `${shown}${name}/`);
    }
  };
  visit(root, '');
  return lines;
}

/** The times of two trees may differ by what the platform cannot set. */
export function assertSameTree(actual: string, expected: string): void {
  const parse = (root: string) =>
    describeTree(root).map((line) => {
      const at = line.lastIndexOf(' ');
      return { text: line.slice(0, at), us: Number(line.slice(at + 1)) };
    });
  const [got, wanted] = [parse(actual), parse(expected)];
  assert.deepEqual(
    got.map(({ text }) => text),
    wanted.map(({ text }) => text),
  );
  for (const [index, { text, us }] of got.entries())
    assert.ok(Math.abs(us - (wanted[index]?.us ?? 0)) <= 1, `${text}: ${us} and ${wanted[index]?.us}`);
}

/** A folder with a source, keys, and places for what is sealed, opened and kept in the journal. */
export interface World {
  readonly folder: string;
  readonly source: string;
  readonly sealed: string;
  readonly opened: string;
  readonly journal: { readonly folder: string; readonly keys: string };
  readonly client: StandInKeys;
  readonly keys: CachedKeys;
  readonly findings: string[];
  readonly onFinding: (finding: TreeFinding) => void;
}

export async function inWorld(entries: Samples, work: (world: World) => Promise<void>): Promise<void> {
  await inFolder(async (path) => {
    const client = new StandInKeys();
    const key = client.newKey();
    const findings: string[] = [];
    const world: World = {
      folder: path,
      source: join(path, 'source'),
      sealed: join(path, 'sealed'),
      opened: join(path, 'opened'),
      journal: { folder: join(path, 'journal'), keys: 'test' },
      client,
      keys: cachedKeys(serverKeys(client, { key })),
      findings,
      onFinding: (finding) => void findings.push(`${finding.path} ${finding.error.code}`),
    };
    mkdirSync(world.source);
    make(world.source, entries);
    await work(world);
  });
}

export async function refusedWith(promise: Promise<unknown>, code: SdkErrorCode): Promise<SealError> {
  const error: unknown = await promise.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof SealError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
}

/** The objects of a sealed tree, as paths. */
export function objectsIn(sealed: string): string[] {
  if (!existsSync(sealed)) return [];
  return readdirSync(sealed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /^[0-9a-f]{62}$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
