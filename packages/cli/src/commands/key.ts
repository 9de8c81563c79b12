import { keyAlgorithms, operations, revocationCauses } from '@trialkeep/sdk/client';
import type { Output, Operations } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, list, print, table } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseInteger, parseTime, reasonOption } from '../verb.ts';

type Key = Output<Operations['keys.create']>;

interface CreateOptions extends SessionOptions {
  readonly system: string;
  readonly algorithm?: (typeof keyAlgorithms)[number];
  readonly description?: string;
  readonly activates?: number;
  readonly expires?: number;
  readonly rotationDays?: number;
  readonly useLogged?: true;
}

interface ListOptions extends SessionOptions {
  readonly system?: string;
}

interface ReasonOptions extends SessionOptions {
  readonly reason: string;
}

interface RotateOptions extends SessionOptions {
  readonly reason?: string;
}

interface RevokeOptions extends ReasonOptions {
  readonly cause: (typeof revocationCauses)[number];
}

export function register(program: Command, io: Io): void {
  const key = program.command('key').description('keys: create, rotate, suspend, revoke, destroy');
  registerInventory(key, io);
  registerChanges(key, io);
}

function registerInventory(key: Command, io: Io): void {
  addServerVerb(key, 'create', operations['keys.create'].summary)
    .requiredOption('--system <id>', 'the system that it is for')
    .addOption(new Option('--algorithm <name>', 'what it is').choices(keyAlgorithms))
    .option('--description <text>', 'what it is for')
    .option('--activates <date>', 'when it begins to protect', parseTime)
    .option('--expires <date>', 'when it ends to protect', parseTime)
    .option('--rotation-days <number>', 'how often it is rotated', parseInteger(60, 180))
    .option('--use-logged', 'for good: data keys of one subject each, and a receipt of every use of them')
    .action(async (options: CreateOptions) => {
      const { client } = await connect(io, options);
      const { system, algorithm, description, activates, expires, rotationDays, useLogged } = options;
      const made = await client.call('keys.create', {
        system,
        ...(algorithm !== undefined && { algorithm }),
        ...(description !== undefined && { description }),
        ...(activates !== undefined && { activatesAt: activates }),
        ...(expires !== undefined && { expiresAt: expires }),
        ...(rotationDays !== undefined && { rotationPeriodDays: rotationDays }),
        ...(useLogged !== undefined && { useLogged }),
      });
      await print(io, options, made, () => `A key is made.\n${details(made)}`);
    });

  addServerVerb(key, 'list', operations['keys.list'].summary)
    .option('--system <id>', 'only those of this system')
    .action(async (options: ListOptions) => {
      const { client } = await connect(io, options);
      const { system } = options;
      const answer = await client.call('keys.list', system === undefined ? {} : { system });
      await print(io, options, answer, () =>
        table(
          ['id', 'state', 'version', 'algorithm', 'system', 'rotation due', 'description'],
          answer.keys.map((row) => [
            row.id,
            row.state,
            row.version,
            row.algorithm,
            row.system,
            isoTime(row.rotationDueAt),
            row.description,
          ]),
        ),
      );
    });

  addServerVerb(key, 'show <key>', operations['keys.show'].summary).action(
    async (id: string, options: SessionOptions) => {
      const { client } = await connect(io, options);
      const answer = await client.call('keys.show', { key: id });
      await print(io, options, answer, () => {
        const rows = answer.versions.map((row) => [row.version, row.state, isoTime(row.createdAt), row.id]);
        return `${details(answer.key)}\n\n${table(['version', 'state', 'made', 'id'], rows)}`;
      });
    },
  );
}

function registerChanges(key: Command, io: Io): void {
  addServerVerb(key, 'rotate <key>', operations['keys.rotate'].summary)
    .addOption(reasonOption(false))
    .action(async (id: string, options: RotateOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const changed = await client.call('keys.rotate', { key: id, ...(reason !== undefined && { reason }) });
      await print(
        io,
        options,
        changed,
        () => `Key ${changed.id} protects with version ${changed.version} now.`,
      );
    });

  for (const verb of ['suspend', 'resume'] as const) {
    addServerVerb(key, `${verb} <key>`, operations[`keys.${verb}`].summary)
      .addOption(reasonOption(true))
      .action(async (id: string, options: ReasonOptions) => {
        const { client } = await connect(io, options);
        const reason = await readReason(io, options.reason);
        const changed = await client.call(`keys.${verb}`, { key: id, reason });
        await print(io, options, changed, () => `Key ${changed.id} is ${changed.state} now.`);
      });
  }

  addServerVerb(key, 'revoke <key>', operations['keys.revoke'].summary)
    .addOption(new Option('--cause <cause>', 'what happened').choices(revocationCauses).makeOptionMandatory())
    .addOption(reasonOption(true))
    .action(async (id: string, options: RevokeOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const changed = await client.call('keys.revoke', { key: id, cause: options.cause, reason });
      await print(
        io,
        options,
        changed,
        () => `Key ${changed.id} is revoked: its state is ${changed.state} now.`,
      );
    });

  addServerVerb(key, 'destroy <key>', operations['keys.destroy'].summary)
    .addOption(reasonOption(true))
    .action(async (id: string, options: ReasonOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const changed = await client.call('keys.destroy', { key: id, reason });
      await print(io, options, changed, () => `Key ${changed.id} is ${changed.state} now.`);
    });
}

function details(key: Key): string {
  const { revocation } = key;
  return list({
    id: key.id,
    name: key.arn,
    system: key.system,
    description: key.description === '' ? undefined : key.description,
    algorithm: key.algorithm,
    state: key.state,
    version: key.version,
    made: isoTime(key.createdAt),
    activates: isoTime(key.activatesAt),
    expires: isoTime(key.expiresAt),
    'use-logged': key.useLogged ? 'yes' : undefined,
    'rotation due': `${isoTime(key.rotationDueAt)} (every ${key.rotationPeriodDays} days)`,
    revoked: revocation === null ? null : `${isoTime(revocation.at)} (${revocation.cause})`,
  });
}
