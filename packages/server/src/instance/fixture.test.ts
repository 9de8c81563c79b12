/** What the tests of installations share. */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, lstatSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import type { TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { systemClock } from '../platform/clock.ts';
import { StartupError } from '../platform/errors.ts';
import type { StartupErrorCode } from '../platform/errors.ts';
import { backupInstance } from './backup.ts';
import { createInstance } from './create.ts';
import { openInstance } from './open.ts';
import type { OpenInstance } from './open.ts';

/** A folder that is removed after the test. */
export function makeFolder(t: TestContext): string {
  const folder = newFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'trialkeep-instance-'));
}

/** A new installation that is removed after the test. */
export async function makeInstance(t: TestContext): Promise<string> {
  const data = join(makeFolder(t), 'data');
  await create(data);
  return data;
}

export async function create(data: string): Promise<void> {
  await createInstance(data, 'evaluation', 'eu-central-1');
}

/** A stopped installation, and a backup of it, of which the tests of a suite use copies. Called where the suite is defined. */
export function shareInstance(): { readonly data: string; readonly backup: string } {
  const folder = newFolder();
  const shared = { data: join(folder, 'data'), backup: join(folder, 'backup') };
  before(async () => {
    await create(shared.data);
    await backupInstance(shared.data, shared.backup);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  return shared;
}

export async function open(data: string): Promise<OpenInstance> {
  return openInstance(data, { clock: systemClock, notes: { warn: () => undefined } });
}

/** For `assert.rejects`. */
export function refusal(code: StartupErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof StartupError && error.code === code;
}

/** A copy of a folder that no test changes. */
export function copyOf(folder: string, t: TestContext): string {
  const copy = join(makeFolder(t), 'data');
  cpSync(folder, copy, { recursive: true });
  return copy;
}

/** SHA-256 of every file of a folder but locks, by its path. */
export function contentOf(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  const files = names.filter((name) => !name.endsWith('lock') && lstatSync(join(folder, name)).isFile());
  const digest = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(folder, name)))
      .digest('hex');
  return Object.fromEntries(files.map((name) => [name, digest(name)]));
}

/** Every path that lay in the folder at some time while the work ran. */
export async function pathsDuring(folder: string, work: Promise<unknown>): Promise<Set<string>> {
  const seen = new Set<string>();
  const ended = new AbortController();
  const watching = (async () => {
    while (!ended.signal.aborted) {
      const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
      for (const name of names) seen.add(name);
      await setImmediate();
    }
  })();
  try {
    await work;
  } finally {
    ended.abort();
    await watching;
  }
  return seen;
}
