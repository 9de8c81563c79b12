import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { version } from '../version.ts';

/** What held a ceremony, as its minutes name it (docs/formats/evidence-document.md). */
export interface Software {
  readonly digests: Readonly<Record<string, string>>;
  readonly node: string;
  readonly trialkeep: string;
}

/** Digests what runs here: the runtime, and the packages that handle shares. @param others folders of sources of other programs, by name */
export async function describeSoftware(others: Readonly<Record<string, string>>): Promise<Software> {
  const crypto = dirname(fileURLToPath(import.meta.resolve('@trialkeep/crypto')));
  const server = dirname(dirname(fileURLToPath(import.meta.url)));
  const own = {
    node: await digestFile(process.execPath),
    '@trialkeep/crypto': digestSources(crypto),
    '@trialkeep/server': digestSources(server),
  };
  const of = Object.entries(others).map(([name, folder]) => [name, digestSources(folder)] as const);
  return { digests: { ...Object.fromEntries(of), ...own }, node: process.version, trialkeep: version };
}

async function digestFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** One digest of every file of a folder, in the order of their paths. */
function digestSources(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const all = createHash('sha256');
  for (const file of files) {
    const digest = createHash('sha256')
      .update(readFileSync(join(folder, file)))
      .digest('hex');
    all.update(`${file}\0${digest}\n`);
  }
  return all.digest('hex');
}
