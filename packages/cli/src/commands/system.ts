import { issuableRoles, operations, systemTypes } from '@trialkeep/sdk/client';
import type { Input, Operations } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import type { Io } from '../io.ts';
import { isoTime, print, table } from '../output.ts';
import { connect, makeWithSecret, readReason, secretLine } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, gather, parseTime, reasonOption, saveProfileOption } from '../verb.ts';

interface CreateOptions extends SessionOptions {
  readonly type: (typeof systemTypes)[number];
  readonly vendor: string;
}

interface IssueOptions extends SessionOptions {
  readonly role: (typeof issuableRoles)[number];
  readonly system?: string;
  readonly key?: string[];
  readonly expires?: number;
  readonly form?: 'bearer' | 'access-key';
  readonly saveProfile?: string;
}

interface RevokeOptions extends SessionOptions {
  readonly reason: string;
}

export function register(program: Command, io: Io): void {
  const system = program.command('system').description('connected systems and their credentials');

  addServerVerb(system, 'create <name>', operations['systems.create'].summary)
    .addOption(new Option('--type <type>', 'kind of system').choices(systemTypes).makeOptionMandatory())
    .requiredOption('--vendor <name>', 'who supplies it')
    .action(async (name: string, options: CreateOptions) => {
      const { client } = await connect(io, options);
      const made = await client.call('systems.create', { name, type: options.type, vendor: options.vendor });
      await print(io, options, made, () => `System ${made.name} (${made.type}) is registered: ${made.id}`);
    });

  addServerVerb(system, 'list', operations['systems.list'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const answer = await client.call('systems.list', {});
      await print(io, options, answer, () =>
        table(
          ['id', 'name', 'type', 'vendor', 'registered'],
          answer.systems.map(({ id, name, type, vendor, createdAt }) => [
            id,
            name,
            type,
            vendor,
            isoTime(createdAt),
          ]),
        ),
      );
    },
  );

  registerCredentials(system.command('credential').description('credentials of services and people'), io);
}

function registerIssue(credential: Command, io: Io): void {
  addServerVerb(credential, 'issue <name>', operations['credentials.issue'].summary)
    .addOption(new Option('--role <role>', 'what it may do').choices(issuableRoles).default('service'))
    .option('--system <id>', 'the system that it belongs to')
    .option('--key <id>', 'a key that it may use; may be repeated', gather)
    .option('--expires <date>', 'when it ends', parseTime)
    .addOption(
      new Option(
        '--form <form>',
        'access-key: requests of the AWS protocol are signed with it; bearer: it is sent with each request',
      )
        .choices(['bearer', 'access-key'])
        .default('bearer'),
    )
    .addOption(saveProfileOption())
    .action(async (name: string, options: IssueOptions) => {
      if (options.form === 'access-key' && options.saveProfile !== undefined) {
        const detail = 'a profile is for a credential that is sent, and an access key is not';
        throw new CliError('cli.usage', { detail, fix: 'Leave --save-profile out.' });
      }
      const { client, url } = await connect(io, options);
      const input: Input<Operations['credentials.issue']> = {
        name,
        role: options.role,
        ...(options.system !== undefined && { system: options.system }),
        ...(options.key !== undefined && { keys: options.key }),
        ...(options.form === 'access-key' && { form: options.form }),
        ...(options.expires !== undefined && { expiresAt: options.expires }),
      };
      const { made, profile, failure } = await makeWithSecret(
        io,
        options.saveProfile,
        () => client.call('credentials.issue', input),
        ({ secret }) => ({ url, credential: secret }),
      );
      const shown = profile === undefined ? { secret: made.secret } : { credentialProfile: profile };
      await print(io, options, { credential: made.credential, ...shown }, () =>
        [
          `Credential ${made.credential.name} (${made.credential.role}) is issued: ${made.credential.id}`,
          ...(made.credential.accessKey ? [`AWS access key id: ${made.credential.accessKey}`] : []),
          secretLine(made.secret, profile),
        ].join('\n'),
      );
      if (failure !== undefined) throw failure;
    });
}

function registerCredentials(credential: Command, io: Io): void {
  registerIssue(credential, io);

  addServerVerb(credential, 'list', operations['credentials.list'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const answer = await client.call('credentials.list', {});
      await print(io, options, answer, () =>
        table(
          ['id', 'name', 'role', 'state', 'system', 'keys', 'expires', 'access key'],
          answer.credentials.map((row) => [
            row.id,
            row.name,
            row.role,
            row.state,
            row.system,
            row.keys.length,
            isoTime(row.expiresAt),
            row.accessKey ?? '',
          ]),
        ),
      );
    },
  );

  addServerVerb(credential, 'revoke <credential>', operations['credentials.revoke'].summary)
    .addOption(reasonOption(true))
    .action(async (id: string, options: RevokeOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const revoked = await client.call('credentials.revoke', { credential: id, reason });
      await print(io, options, revoked, () => `Credential ${revoked.name} is ${revoked.state}.`);
    });
}
