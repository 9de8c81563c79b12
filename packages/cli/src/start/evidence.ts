import { spawn } from 'node:child_process';
import { cp, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundlePath } from '@trialkeep/ledger';
import { createClient, pagesOf } from '@trialkeep/sdk/client';
import { exportLedger } from '@trialkeep/sdk/verify';
import type { Io } from '../io.ts';
import type { StudyFile } from '../study/catalogue.ts';
import type { Registered } from './register.ts';

/** Operations by which a data key reaches a client. */
const releases = ['keys.generate-data-key', 'keys.decrypt-data-key'] as const;
const pageSize = 1000;

export interface Answer {
  readonly subject: string;
  readonly class: string;
  /** Position in the log of each release, in order. */
  readonly positions: number[];
  /** The answer is complete up to this log size. */
  readonly size: number;
}

/** Asks the ledger for every key release for one subject's records of one class, as its auditor. */
export async function askForReleases(url: string, registered: Registered, file: StudyFile): Promise<Answer> {
  const auditor = createClient({ url, credential: registered.auditor });
  const subject = registered.aliases.get(file.subjectNumber ?? '') ?? '';
  const positions: number[] = [];
  let size = 0;
  for (const operation of releases) {
    const question = {
      subject,
      class: file.dataClass,
      operation,
      outcome: 'success',
      limit: pageSize,
    } as const;
    for await (const page of pagesOf((at) => auditor.call('ledger.query', { ...question, ...at }))) {
      positions.push(...page.entries.map(({ index }) => index));
      size = page.size;
    }
  }
  return { subject, class: file.dataClass, positions: positions.sort((a, b) => a - b), size };
}

/** Exports the ledger as its auditor; gives the number of entries. */
export async function exportTo(url: string, registered: Registered, folder: string): Promise<number> {
  const auditor = createClient({ url, credential: registered.auditor });
  const { verifierKey } = registered.tenant;
  const result = await exportLedger(auditor, folder, { verifierKey });
  return result.size ?? 0;
}

/** What the verifying process said. */
export interface Verdict {
  readonly status: number;
  readonly verdict: string;
  /** The entry that the first finding names. */
  readonly index: number | undefined;
  readonly sentence: string;
}

/** Verifies an exported ledger in a process that has the folder, the key and the kept checkpoint, and nothing else. */
export async function verifyApart(
  io: Io,
  folder: string,
  verifierKey: string,
  kept: string,
): Promise<Verdict> {
  const launcher = fileURLToPath(new URL('../../bin/trialkeep', import.meta.url));
  const child = spawn(launcher, ['verify', folder, '--key', verifierKey, '--checkpoint', kept, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: io.env['PATH'] },
    signal: io.signal,
  });
  const status = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  const [output] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const result = JSON.parse(output || '{}') as {
    verdict?: string;
    findings?: { index?: number; sentence?: string }[];
  };
  const [finding] = result.findings ?? [];
  return {
    status: await status,
    verdict: result.verdict ?? 'failed',
    index: finding?.index,
    sentence: finding?.sentence ?? '',
  };
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** Copies an exported ledger of `size` entries and changes one byte of the entry at `position` in the copy. */
export async function alterCopy(folder: string, copy: string, position: number, size: number): Promise<void> {
  await cp(folder, copy, { recursive: true });
  const bundle = Math.floor(position / 256);
  const width = Math.min(256, size - bundle * 256);
  const file = join(copy, bundlePath(bundle, width));
  const bytes = await readFile(file);
  let offset = 0;
  for (let entry = 0; entry < position % 256; entry += 1) offset += 2 + bytes.readUInt16BE(offset);
  // A digit of the entry's time: the change that somebody would make who wants to hide when something happened.
  const digit = bytes.indexOf('"time":', offset) + '"time":'.length + 9;
  bytes[digit] = bytes[digit] === 0x31 ? 0x32 : 0x31;
  await writeFile(file, bytes);
}

/** Keeps the newest checkpoint of the tenant's log where the server does not write. */
export async function keepCheckpoint(url: string, registered: Registered, target: string): Promise<void> {
  const auditor = createClient({ url, credential: registered.auditor });
  const checkpoint = await auditor.call('ledger.checkpoint', {});
  const file = await open(target, 'wx', 0o600);
  try {
    await file.writeFile(checkpoint);
    await file.sync();
  } finally {
    await file.close();
  }
}
