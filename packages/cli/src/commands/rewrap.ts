import { setTimeout as pause } from 'node:timers/promises';
import { operations, pagesOf } from '@trialkeep/sdk/client';
import type { Caller, Operations, Output } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, list, print, table } from '../output.ts';
import { startProgress } from '../progress.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, reasonOption } from '../verb.ts';

type Rewrap = Output<Operations['rewraps.show']>;

interface ChangeOptions extends SessionOptions {
  readonly reason?: string;
}

interface StartOptions extends ChangeOptions {
  readonly wait?: true;
}

interface ListOptions extends SessionOptions {
  readonly key?: string;
}

const pollMs = 1000;

export function register(program: Command, io: Io): void {
  const rewrap = program
    .command('rewrap')
    .description('wrap the registered data keys of a key anew: start, watch, pause, resume, cancel, show');

  addServerVerb(rewrap, 'start <key>', operations['rewraps.start'].summary)
    .option('--wait', 'stay until it has ended, with its progress')
    .addOption(reasonOption(false))
    .action(async (key: string, options: StartOptions) => {
      const { client } = await connect(io, options);
      const started = await client.call('rewraps.start', { key, ...(await reasonOf(io, options)) });
      await report(
        io,
        options,
        options.wait === true ? await watched(io, options, client, started) : started,
      );
    });

  addServerVerb(
    rewrap,
    'watch <rewrap>',
    'Stay with a rewrap until it has ended or rests, with its progress',
  ).action(async (id: string, options: SessionOptions) => {
    const { client } = await connect(io, options);
    const shown = await client.call('rewraps.show', { rewrap: id });
    await report(io, options, await watched(io, options, client, shown));
  });

  for (const name of ['pause', 'resume', 'cancel'] as const) {
    addServerVerb(rewrap, `${name} <rewrap>`, operations[`rewraps.${name}`].summary)
      .addOption(reasonOption(false))
      .action(async (id: string, options: ChangeOptions) => {
        const { client } = await connect(io, options);
        const input = { rewrap: id, ...(await reasonOf(io, options)) };
        await report(io, options, await client.call(`rewraps.${name}`, input));
      });
  }

  addServerVerb(rewrap, 'show <rewrap>', operations['rewraps.show'].summary).action(
    async (id: string, options: SessionOptions) => {
      const { client } = await connect(io, options);
      await report(io, options, await client.call('rewraps.show', { rewrap: id }));
    },
  );

  addList(rewrap, io);
}

function addList(rewrap: Command, io: Io): void {
  addServerVerb(rewrap, 'list', 'List the rewraps in the order in which they began')
    .option('--key <id>', 'those of one key')
    .action(async (options: ListOptions) => {
      const { client } = await connect(io, options);
      const ofKey = options.key === undefined ? {} : { key: options.key };
      const rewraps: Rewrap[] = [];
      for await (const page of pagesOf((at) => client.call('rewraps.list', { ...ofKey, ...at }))) {
        rewraps.push(...page.rewraps);
      }
      await print(io, options, { rewraps }, () =>
        table(
          ['id', 'key', 'version', 'state', 'wrapped', 'of', 'begun', 'ended'],
          rewraps.map((row) => [
            row.id,
            row.key,
            row.version,
            row.state,
            row.rewrapped,
            row.total,
            isoTime(row.begunAt),
            isoTime(row.endedAt),
          ]),
        ),
      );
    });
}

async function reasonOf(io: Io, { reason }: ChangeOptions): Promise<{ reason?: string }> {
  return reason === undefined ? {} : { reason: await readReason(io, reason) };
}

const seenOf = ({ rewrapped, passed, failed, lost }: Rewrap): number => rewrapped + passed + failed + lost;

/** The rewrap as it is once it runs no more; who has it watched can go away, and it goes on. */
async function watched(io: Io, options: SessionOptions, client: Caller, begun: Rewrap): Promise<Rewrap> {
  const progress = await startProgress(io, options, 'wrapping', 'data keys');
  let shown = begun;
  try {
    while (shown.state === 'running') {
      progress.update(seenOf(shown), Math.max(shown.total, seenOf(shown)));
      await pause(pollMs, undefined, { signal: io.signal }).catch(() => undefined);
      io.signal.throwIfAborted();
      shown = await client.call('rewraps.show', { rewrap: shown.id });
    }
  } finally {
    progress.stop();
  }
  return shown;
}

async function report(io: Io, options: SessionOptions, shown: Rewrap): Promise<void> {
  await print(io, options, shown, () => details(shown));
}

function details(row: Rewrap): string {
  const seconds = (row.workedMs / 1000).toFixed(1);
  const about = list({
    id: row.id,
    key: row.key,
    version: row.version,
    state: row.cause === null ? row.state : `${row.state}: the key is ${row.cause}`,
    begun: isoTime(row.begunAt),
    ended: isoTime(row.endedAt),
    'data keys': row.total,
    wrapped: row.rewrapped,
    'already wrapped': row.passed,
    'not opened': row.failed,
    'version gone': row.lost,
    rate: `${row.perSecond}/s over ${seconds} s`,
    shares: row.workers,
    hash: row.hash,
  });
  if (row.failed + row.lost === 0) return about;
  return `${about}\n\nWhat was left as it was is named in the ledger: trialkeep ledger query --operation data-keys.rewrap`;
}
