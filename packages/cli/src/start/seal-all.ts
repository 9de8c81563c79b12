import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '@trialkeep/sdk/client';
import type { Client } from '@trialkeep/sdk/client';
import { openStream, sealFile, serverKeys } from '@trialkeep/sdk/seal';
import type { EncryptionContext } from '@trialkeep/sdk/seal';
import type { StudyFile, SystemKind } from '../study/catalogue.ts';
import { forEachConcurrently } from './pool.ts';
import { systemKinds } from './register.ts';
import type { Registered } from './register.ts';

/** A sealed file, and what it has to open to. Its name says nothing about the original. */
export interface SealedEntry {
  readonly system: SystemKind;
  readonly target: string;
  readonly bytes: number;
  /** SHA-256 of the original, hex. */
  readonly sha256: string;
  /** The key version that it was sealed under. */
  readonly version: number;
}

const concurrentFiles = 8;
const readBytes = 1024 * 1024;

/** One client for each system, under that system's own credential. */
export function systemClients(url: string, { systems }: Registered): Readonly<Record<SystemKind, Client>> {
  const clients = systemKinds.map(
    (kind) => [kind, createClient({ url, credential: systems[kind].credential })] as const,
  );
  return Object.fromEntries(clients) as Record<SystemKind, Client>;
}

/** Study, class of record, and the subject's alias where there is one: what is bound to the file, and logged. */
export function contextOf(file: StudyFile, { study, aliases }: Registered): EncryptionContext {
  const alias = file.subjectNumber === undefined ? undefined : aliases.get(file.subjectNumber);
  return { study, class: file.dataClass, ...(alias !== undefined && { subject: alias }) };
}

/** Seals every file under its system's key into a folder per system, under a random name. */
export async function sealAll(
  clients: Readonly<Record<SystemKind, Client>>,
  registered: Registered,
  files: readonly StudyFile[],
  folders: { readonly source: string; readonly target: string },
  onFile: (bytes: number) => void,
): Promise<SealedEntry[]> {
  for (const kind of systemKinds) await mkdir(join(folders.target, kind), { recursive: true, mode: 0o700 });
  const sealed: SealedEntry[] = [];
  await forEachConcurrently(files, concurrentFiles, async (file) => {
    const target = join(folders.target, file.system, `${randomUUID()}.sealed`);
    const { key } = registered.systems[file.system];
    const done = await sealFile(serverKeys(clients[file.system], { key }), {
      source: join(folders.source, file.path),
      target,
      context: contextOf(file, registered),
      digest: true,
    });
    sealed.push({
      system: file.system,
      target,
      bytes: done.bytes,
      sha256: done.sha256 ?? '',
      version: done.version ?? 0,
    });
    onFile(done.bytes);
  });
  return sealed;
}

/** Opens every file, writing nothing, and counts those that are byte-identical to what was sealed. */
export async function openAll(
  clients: Readonly<Record<SystemKind, Client>>,
  entries: readonly SealedEntry[],
  onFile: (bytes: number) => void,
): Promise<number> {
  let identical = 0;
  await forEachConcurrently(entries, concurrentFiles, async ({ system, target, sha256, bytes }) => {
    const hash = createHash('sha256');
    const sealed = createReadStream(target, { highWaterMark: readBytes });
    for await (const chunk of openStream(serverKeys(clients[system]), sealed)) hash.update(chunk);
    if (hash.digest('hex') === sha256) identical += 1;
    onFile(bytes);
  });
  return identical;
}
