import { operations } from '@trialkeep/sdk/client';
import type { Operations, Output } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, list, print, table } from '../output.ts';
import { connect, makeWithSecret, readReason, secretLine } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, reasonOption, saveProfileOption } from '../verb.ts';

interface CreateOptions extends SessionOptions {
  readonly saveProfile?: string;
}

interface SealOptions extends SessionOptions {
  readonly reason: string;
}

type SealState = Output<Operations['tenants.seal-state']>;

export function register(program: Command, io: Io): void {
  const tenant = program.command('tenant').description('tenants of the installation; seal them');
  registerSeal(tenant, io);

  addServerVerb(tenant, 'create <name>', operations['tenants.create'].summary)
    .addOption(saveProfileOption())
    .action(async (name: string, options: CreateOptions) => {
      const { client, url } = await connect(io, options);
      const { made, profile, failure } = await makeWithSecret(
        io,
        options.saveProfile,
        () => client.call('tenants.create', { name }),
        ({ custodian }) => ({ url, credential: custodian.secret }),
      );
      const { id, secret } = made.custodian;
      const custodian = profile === undefined ? { id, secret } : { id, credentialProfile: profile };
      await print(io, options, { tenant: made.tenant, custodian }, () =>
        [
          `Tenant ${made.tenant.name} is made.`,
          list(detailsOf(made.tenant)),
          `Its first custodian is ${id}.`,
          secretLine(secret, profile),
        ].join('\n'),
      );
      if (failure !== undefined) throw failure;
    });

  addServerVerb(tenant, 'list', operations['tenants.list'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const answer = await client.call('tenants.list', {});
      await print(io, options, answer, () =>
        table(
          ['id', 'account', 'name', 'ledger'],
          answer.tenants.map(({ id, account, name, origin }) => [id, account, name, origin]),
        ),
      );
    },
  );
}

function registerSeal(tenant: Command, io: Io): void {
  addServerVerb(tenant, 'seal', operations['tenants.seal'].summary)
    .addOption(reasonOption(true))
    .action(async (options: SealOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const answer = await client.call('tenants.seal', { reason });
      await print(io, options, answer, () => sealLine(answer));
    });

  addServerVerb(tenant, 'unseal', 'Lift the seal that holds now, and no later one')
    .addOption(reasonOption(true))
    .action(async (options: SealOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const { changedAt: sealedAt } = await client.call('tenants.seal-state', {});
      const answer = await client.call('tenants.unseal', { reason, sealedAt });
      await print(io, options, answer, () => sealLine(answer));
    });

  addServerVerb(tenant, 'seal-state', operations['tenants.seal-state'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const answer = await client.call('tenants.seal-state', {});
      await print(io, options, answer, () => sealLine(answer));
    },
  );
}

function sealLine({ state, changedAt }: SealState): string {
  const since = ` since ${isoTime(changedAt)}`;
  return state === 'sealed'
    ? `The tenant is sealed${since}: none of its keys can be used.`
    : `The tenant is open${since}.`;
}

function detailsOf(tenant: { id: string; account: string; origin: string; verifierKey: string }) {
  const { id, account, origin, verifierKey } = tenant;
  return { id, account, ledger: origin, 'verifier key': verifierKey };
}
