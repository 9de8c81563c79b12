/** How long an entry takes from its append to a signed checkpoint that covers it, and to a witnessed one. */
import { execFileSync, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { changeOwn, sealDraft } from '../../packages/server/src/audit/index.ts';
import type { Context } from '../../packages/server/src/platform/implementation.ts';
import { appendTo, draftsOf } from './appending.ts';
import { makeFolder } from './installation.ts';
import type { Installation } from './installation.ts';
import { undoAtEnd } from './processes.ts';

const witnessMain = fileURLToPath(new URL('../../packages/witness/src/main.ts', import.meta.url));
const one = { callers: 1, commit: 'group' } as const;
const lookMs = 2;

/** Append, then a checkpoint that somebody asks for: tree, both signatures, anchor file, row. ms of each sample. */
export async function signedOnDemand(installation: Installation, samples: number): Promise<number[]> {
  const { instance, log } = installation;
  const append = await appendTo(installation, one);
  const seal = draftsOf(installation);
  const taken: number[] = [];
  for (let i = 0; i < samples; i++) {
    const draft = seal();
    const began = performance.now();
    await append(draft, 0);
    await instance.ledger.anchorNow(log.id);
    taken.push(performance.now() - began);
  }
  return taken;
}

/** Begins what a server does by itself each second; gives what ends it, for good. */
export async function beginWork({ rooms }: Installation): Promise<() => Promise<void>> {
  await rooms.jobs.start(rooms.handlers);
  await rooms.witnessing.start();
  let polling: Promise<void> | undefined;
  const timer = setInterval(() => {
    polling ??= rooms.poll().finally(() => (polling = undefined));
  }, 1000);
  return async () => {
    clearInterval(timer);
    await polling;
    await rooms.jobs.stop();
    await rooms.witnessing.stop();
  };
}

/** Append to the checkpoint that the server signs by itself, or to the one that `witness` has cosigned. ms of each sample. */
export async function byItself(
  installation: Installation,
  samples: number,
  witness?: Witness,
): Promise<number[]> {
  const { log, rooms } = installation;
  if (witness !== undefined) await setPolicy(installation, witness);
  const append = await appendTo(installation, one);
  const seal = draftsOf(installation);
  const show = rooms.implementations['witnessing.show'];
  const covered = async (): Promise<number> => {
    if (witness === undefined) return (await log.newestCheckpoint())?.size ?? 0;
    return (await show({ caller: { log } } as unknown as Context<'witnessing.show'>)).witnessedSize;
  };
  const taken: number[] = [];
  // The first round of a witness opens its connection.
  for (let i = -1; i < samples; i++) {
    // At no fixed place in the second.
    await setTimeout(randomInt(200));
    const draft = seal();
    const began = performance.now();
    const position = await append(draft, 0);
    while ((await covered()) <= position) await setTimeout(lookMs);
    if (i >= 0) taken.push(performance.now() - began);
  }
  return taken;
}

/** A witness: a process of its own, with its key and storage. */
export interface Witness {
  readonly url: string;
  /** Ed25519, then ML-DSA-44. */
  readonly verifierKeys: readonly string[];
  end(): Promise<void>;
}

/** Starts a witness that knows the installation's log. */
export async function startWitness({ log }: Installation, parent?: string): Promise<Witness> {
  const data = join(makeFolder(parent), 'witness');
  const run = (command: string, ...args: string[]): string =>
    execFileSync(process.execPath, [witnessMain, 'witness', command, '--data', data, ...args], {
      encoding: 'utf8',
    });
  const made = JSON.parse(run('init', '--name', 'witness.example/benchmark')) as { verifierKeys: string[] };
  run('log-add', ...(await log.verifierKeys()));
  const rate = ['--requests-per-second', '100000'];
  const child = spawn(
    process.execPath,
    [witnessMain, 'witness', 'serve', '--data', data, '--port', '0', ...rate],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  undoAtEnd(() => void child.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const end = async (): Promise<void> => {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  };
  return { url: (JSON.parse(line) as { listening: string }).listening, ...made, end };
}

/** Has the log's checkpoints cosigned, as the operation does without the people who would have to approve it. */
async function setPolicy({ instance, rooms, log }: Installation, witness: Witness): Promise<void> {
  const policy = `witness w0 ${witness.verifierKeys[1] ?? ''} ${witness.url}\nquorum w0\n`;
  const context = {
    input: { policy, mode: 'background', boundSeconds: 3600, reason: 'benchmark' },
    caller: { log },
    record: {},
    payload: {},
    afterCommit: [],
  };
  const act = rooms.implementations['witnessing.set-policy'];
  const apply = await act(context as unknown as Context<'witnessing.set-policy'>);
  await changeOwn(instance.ledger, rooms.facts, log.id, async (tx, time) => {
    const result = await apply(tx, time);
    const draft = {
      operation: 'witnessing.set-policy',
      outcome: 'success',
      recorded: context.record,
    } as const;
    return { result, draft: sealDraft(draft, log.origin, context.payload, log.payloadKey) };
  });
  await rooms.witnessing.refresh(log.id);
}
