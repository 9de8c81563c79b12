import { keyAlgorithms, keyPurposes, operations, pagesOf, revocationCauses } from '@trialkeep/sdk/client';
import type { Output, Operations } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, list, print, table } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { registerExport } from './key-export.ts';
import { registerImport } from './key-import.ts';
import { registerUses } from './key-use.ts';
import { addServerVerb, parseInteger, parseTime, reasonOption } from '../verb.ts';

type Key = Output<Operations['keys.create']>;

interface CreateOptions extends SessionOptions {
  readonly system: string;
  readonly algorithm?: (typeof keyAlgorithms)[number];
  readonly purpose?: (typeof keyPurposes)[number];
  readonly legacyReason?: string;
  readonly description?: string;
  readonly activates?: number;
  readonly expires?: number;
  readonly rotationDays?: number;
  readonly useLogged?: true;
  readonly exportable?: true;
  readonly hsm?: true;
}

interface ListOptions extends SessionOptions {
  readonly system?: string;
}

interface ReasonOptions extends SessionOptions {
  readonly reason: string;
}

interface DestructionOptions extends ReasonOptions {
  readonly waitingDays?: number;
}

interface RotateOptions extends SessionOptions {
  readonly reason?: string;
}

interface RevokeOptions extends ReasonOptions {
  readonly cause: (typeof revocationCauses)[number];
}

export function register(program: Command, io: Io): void {
  const key = program.command('key').description('keys: create, rotate, suspend, revoke, destroy');
  registerCreate(key, io);
  registerInventory(key, io);
  registerChanges(key, io);
  registerUses(key, io);
  registerImport(key, io);
  registerExport(key, io);
}

function registerCreate(key: Command, io: Io): void {
  addServerVerb(key, 'create', operations['keys.create'].summary)
    .requiredOption('--system <id>', 'the system that it is for')
    .addOption(new Option('--algorithm <name>', 'what it is; AES_256 otherwise').choices(keyAlgorithms))
    .addOption(
      new Option(
        '--purpose <name>',
        'what it is for, for good; needed where the algorithm can have more than one',
      ).choices(keyPurposes),
    )
    .option(
      '--legacy-reason <text>',
      'why it has to be RSA_2048, for the record; - reads it from standard input',
    )
    .option('--description <text>', 'what it is for')
    .option('--activates <date>', 'when it begins to protect', parseTime)
    .option('--expires <date>', 'when it ends to protect', parseTime)
    .option('--rotation-days <number>', 'how often it is rotated', parseInteger(60, 180))
    .option('--use-logged', 'for good: data keys of one subject each, and a receipt of every use of them')
    .option('--hsm', 'for good: made in the HSM of the installation, used and destroyed there')
    .option('--exportable', 'for good: it may leave, wrapped, where people approve it')
    .action(async (options: CreateOptions) => {
      const { client } = await connect(io, options);
      const { system, algorithm, purpose, description, activates, expires, rotationDays } = options;
      const { useLogged, hsm } = options;
      const legacyReason = await readReason(io, options.legacyReason);
      const made = await client.call('keys.create', {
        system,
        ...(algorithm !== undefined && { algorithm }),
        ...(purpose !== undefined && { purpose }),
        ...(legacyReason !== undefined && { legacyReason }),
        ...(description !== undefined && { description }),
        ...(activates !== undefined && { activatesAt: activates }),
        ...(expires !== undefined && { expiresAt: expires }),
        ...(rotationDays !== undefined && { rotationPeriodDays: rotationDays }),
        ...(useLogged !== undefined && { useLogged }),
        ...(options.exportable === true && { exportable: true }),
        ...(hsm !== undefined && { protection: 'hsm' as const }),
      });
      await print(io, options, made, () => `A key is made.\n${details(made)}`);
    });
}

function registerInventory(key: Command, io: Io): void {
  addServerVerb(key, 'list', operations['keys.list'].summary)
    .option('--system <id>', 'only those of this system')
    .action(async (options: ListOptions) => {
      const { client } = await connect(io, options);
      const { system } = options;
      const of = system === undefined ? {} : { system };
      const keys: Output<Operations['keys.list']>['keys'] = [];
      for await (const page of pagesOf((at) => client.call('keys.list', { ...of, ...at })))
        keys.push(...page.keys);
      const answer = { keys };
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

  registerRotation(key, io);

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

  registerDestruction(key, io);
}

function registerDestruction(key: Command, io: Io): void {
  addServerVerb(key, 'schedule-destruction <key>', operations['keys.schedule-destruction'].summary)
    .option('--waiting-days <number>', 'how long it waits, 30 by default', parseInteger(7, 30))
    .addOption(reasonOption(true))
    .action(async (id: string, options: DestructionOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const { waitingDays } = options;
      const changed = await client.call('keys.schedule-destruction', {
        key: id,
        ...(waitingDays !== undefined && { waitingDays }),
        reason,
      });
      await print(
        io,
        options,
        changed,
        () => `Key ${changed.id} is going to be destroyed at ${isoTime(changed.destructionDueAt)}.`,
      );
    });

  addServerVerb(key, 'cancel-destruction <key>', operations['keys.cancel-destruction'].summary)
    .addOption(reasonOption(true))
    .action(async (id: string, options: ReasonOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const changed = await client.call('keys.cancel-destruction', { key: id, reason });
      await print(io, options, changed, () => `Key ${changed.id} stays: its state is ${changed.state}.`);
    });
}

interface RotationOptions extends ReasonOptions {
  readonly periodDays?: number;
  readonly asTenant?: true;
  readonly recipientDays?: number;
  readonly recipientWithoutEnd?: true;
}

function registerRotation(key: Command, io: Io): void {
  addServerVerb(key, 'set-rotation <key>', operations['keys.set-rotation'].summary)
    .option('--period-days <number>', 'how often it rotates', parseInteger(60, 180))
    .option('--as-tenant', "rotate it as the tenant's policy says")
    .option(
      '--recipient-days <number>',
      'how long a version processes after it has ended to protect',
      parseInteger(1, 36_500),
    )
    .option('--recipient-without-end', 'old versions process without an end')
    .addOption(reasonOption(true))
    .action(async (id: string, options: RotationOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const periodDays = options.asTenant === true ? null : options.periodDays;
      const recipientPeriodDays = options.recipientWithoutEnd === true ? null : options.recipientDays;
      const changed = await client.call('keys.set-rotation', {
        key: id,
        reason,
        ...(periodDays !== undefined && { periodDays }),
        ...(recipientPeriodDays !== undefined && { recipientPeriodDays }),
      });
      await print(io, options, changed, () => details(changed));
    });

  addServerVerb(key, 'rotation-policy', operations['keys.rotation-policy'].summary)
    .option('--set-days <number>', 'change it', parseInteger(60, 180))
    .addOption(reasonOption(false))
    .action(async (options: RotateOptions & { readonly setDays?: number }, command: Command) => {
      const { client } = await connect(io, options);
      const { setDays } = options;
      if (setDays !== undefined && options.reason === undefined) command.error('error: --reason is needed');
      const reason = await readReason(io, options.reason);
      const shown =
        setDays === undefined || reason === undefined
          ? await client.call('keys.rotation-policy', {})
          : await client.call('keys.set-rotation-policy', { periodDays: setDays, reason });
      const said = `Keys without a period of their own rotate every ${shown.periodDays} days.`;
      await print(io, options, shown, () => said);
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
    purpose: key.purpose,
    state: key.state,
    version: key.version,
    made: isoTime(key.createdAt),
    activates: isoTime(key.activatesAt),
    expires: isoTime(key.expiresAt),
    'use-logged': key.useLogged ? 'yes' : undefined,
    origin: key.origin,
    exportable: key.exportable ? 'yes' : undefined,
    protection: key.protection === 'hsm' ? 'in the HSM' : undefined,
    'destruction due': isoTime(key.destructionDueAt),
    'rotation due': `${isoTime(key.rotationDueAt)} (every ${key.rotationPeriodDays} days)`,
    revoked: revocation === null ? null : `${isoTime(revocation.at)} (${revocation.cause})`,
  });
}
