import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import type { Clock } from './clock.ts';
import { init, type Initialised } from './init.ts';
import { defaultPassphraseFile, type Role } from './keys.ts';
import { addLog } from './logs.ts';
import type { Listening } from './http.ts';
import type { TestLog } from './log.fixture.ts';
import { defaultTokenFile } from './mirror/tokens.ts';
import { serve, type Serving } from './serve.ts';

/** A new folder that is removed when the test ends. */
export function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-witness-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function make(folder: string, role: Role, name = `example.org/${role}`): Promise<Initialised> {
  const files = { passphraseFile: defaultPassphraseFile(folder), tokenFile: defaultTokenFile(folder) };
  // As cheap as the key file allows.
  return init(folder, { role, name, ...files, cost: { memoryKiB: 19_456, passes: 1 } });
}

export function configure(folder: string, ...logs: readonly TestLog[]): void {
  for (const log of logs) addLog(folder, log.verifierKeys);
}

export interface Started extends Serving {
  /** What was logged, as JSON lines. */
  readonly logged: string[];
}

/** Serves in this process, on a free port of the loopback. */
export async function start(
  folder: string,
  role: Role,
  { clock, ...listening }: Partial<Listening> & { clock?: Clock } = {},
): Promise<Started> {
  const logged: string[] = [];
  const serving = await serve({
    folder,
    role,
    passphraseFile: defaultPassphraseFile(folder),
    tokenFile: defaultTokenFile(folder),
    listening: { host: '127.0.0.1', port: 0, behindTlsProxy: false, requestsPerSecond: 10_000, ...listening },
    logger: pino({ base: null }, { write: (line: string) => void logged.push(line) }),
    ...(clock !== undefined && { clock }),
  });
  return { ...serving, logged };
}

/** Makes, configures and serves; all of it is gone when the test ends. */
export async function running(
  t: TestContext,
  role: Role,
  logs: readonly TestLog[],
  options: Partial<Listening> & { clock?: Clock; name?: string } = {},
): Promise<Started & { readonly folder: string; readonly made: Initialised }> {
  const folder = makeFolder(t);
  const { name, ...more } = options;
  const made = await make(folder, role, name);
  configure(folder, ...logs);
  const started = await start(folder, role, more);
  t.after(async () => started.close());
  return { ...started, folder, made };
}

export interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
  readonly headers: Headers;
}

export async function post(
  url: string,
  path: string,
  body: Uint8Array | string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const type = { 'content-type': 'application/octet-stream' };
  const response = await fetch(`${url}/${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : new Uint8Array(body),
    headers: { ...type, ...headers },
  });
  return answerOf(response);
}

export async function get(url: string, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  return answerOf(await fetch(`${url}/${path}`, { headers }));
}

async function answerOf(response: Response): Promise<Answer> {
  const { status, headers } = response;
  return { status, type: headers.get('content-type'), text: await response.text(), headers };
}
