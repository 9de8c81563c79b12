/** Verification of logs in folders, and the export of a ledger from a server: each in a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { payloadsPath } from './log-folder.ts';
import { runChild, undoAtEnd } from './processes.ts';
import { appendTo, draftsOf } from './appending.ts';
import { makeFolder, openInstallation } from './installation.ts';

/** What a process took; MiB are resident, at its start and at most. */
export interface ChildCost {
  readonly seconds: number;
  readonly entries: number;
  readonly startMiB: number;
  readonly peakMiB: number;
}

/** A log in a folder, with what it takes to verify it. */
export interface MadeLog {
  readonly size: number;
  readonly folder: string;
  readonly verifierKeys: readonly string[];
}

export async function makeLog(size: number, parent?: string): Promise<MadeLog> {
  const folder = join(makeFolder(parent), 'log');
  const { verifierKeys } = (await runChild(['make', folder, String(size)])) as { verifierKeys: string[] };
  return { size, folder, verifierKeys };
}

/** `hashes`: checkpoint, tiles and entries. `entries`: also what each entry says. `payloads`: also its payload against its commitment. */
export async function verify(
  { folder, verifierKeys }: MadeLog,
  what: 'hashes' | 'entries' | 'payloads',
): Promise<ChildCost> {
  const [inside, outside] = [join(folder, payloadsPath), join(folder, '..', payloadsPath)];
  if (what === 'payloads') renameSync(outside, inside);
  const cost = await runChild([what, folder], { BENCH_VERIFIER_KEYS: verifierKeys.join('\n') });
  if (what === 'payloads') renameSync(inside, outside);
  return cost as ChildCost;
}

export interface ExportCost extends ChildCost {
  readonly fetchSeconds: number;
  readonly bytes: number;
  readonly files: number;
  /** Of the server while it was exported from. */
  readonly serverPeakMiB: number;
}

/** A server on SQLite whose ledger has that many entries. */
export interface ExportServer {
  /** Exports the whole ledger once, verified at the end. */
  exportOnce(): Promise<ExportCost>;
  end(): Promise<void>;
}

/** Callers that fill the ledger beforehand. */
const fillers = 512;
const serverMain = fileURLToPath(import.meta.resolve('@trialkeep/server/main'));

export async function startExportServer(entries: number, parent?: string): Promise<ExportServer> {
  const installation = await openInstallation('sqlite', parent);
  const { instance, log, data, auditor } = installation;
  const append = await appendTo(installation, { callers: 0, commit: 'group' });
  // The same payload under each: sealing them all would take longer than what is measured.
  const base = draftsOf(installation)();
  let left = entries - 1 - log.size;
  const fill = async (): Promise<void> => {
    while (left-- > 0) await append({ ...base, id: randomUUID() }, 0);
  };
  await Promise.all(Array.from({ length: fillers }, fill));
  await instance.ledger.anchorNow(log.id);
  await log.index.follow();
  await installation.close();
  const child = spawn(process.execPath, [serverMain, 'serve', '--data', data, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  undoAtEnd(() => void child.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const { listening } = JSON.parse(line) as { listening: string };
  return {
    exportOnce: async () => {
      const folder = join(makeFolder(parent), 'export');
      const cost = (await runChild(['export', folder, listening], { BENCH_CREDENTIAL: auditor })) as Omit<
        ExportCost,
        'serverPeakMiB'
      >;
      rmSync(folder, { recursive: true });
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      return { ...cost, serverPeakMiB: Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024 };
    },
    end: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
