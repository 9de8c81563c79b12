import { instancePersonRoles, operations, tenantPersonRoles } from '@trialkeep/sdk/client';
import type { Input, Operations, Output } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, print, printable, table } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, gatherFrom, reasonOption } from '../verb.ts';

type Roles = Input<Operations['people.invite']>['roles'];
type Invited = Output<Operations['people.invite']>;

interface RolesOptions extends SessionOptions {
  readonly role: Roles;
}

interface InviteOptions extends RolesOptions {
  readonly login: string;
}

interface ReasonOptions extends SessionOptions {
  readonly reason: string;
}

export function register(program: Command, io: Io): void {
  const person = program.command('person').description('people: invite, change their roles, let leave');
  registerInvitations(person, io);

  addServerVerb(person, 'list', operations['people.list'].summary).action(async (options: SessionOptions) => {
    const { client } = await connect(io, options);
    const answer = await client.call('people.list', {});
    await print(io, options, answer, () =>
      table(
        ['id', 'name', 'sign-in name', 'state', 'roles', 'since'],
        answer.people.map((row) => [
          row.id,
          row.name,
          row.login,
          row.state,
          row.roles.join(', '),
          isoTime(row.createdAt),
        ]),
      ),
    );
  });

  addServerVerb(person, 'roles <person>', operations['people.set-roles'].summary)
    .addOption(roleOption())
    .addOption(reasonOption(true))
    .action(async (id: string, options: RolesOptions & ReasonOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const changed = await client.call('people.set-roles', { person: id, roles: options.role, reason });
      await print(io, options, changed, () =>
        printable(`${changed.name} has these roles now: ${changed.roles.join(', ')}.`),
      );
    });

  addServerVerb(person, 'leave <person>', operations['people.leave'].summary)
    .addOption(reasonOption(true))
    .action(async (id: string, options: ReasonOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const left = await client.call('people.leave', { person: id, reason });
      await print(io, options, left, () => printable(`${left.name} has left, and can do nothing any more.`));
    });
}

function registerInvitations(person: Command, io: Io): void {
  addServerVerb(person, 'invite <name>', operations['people.invite'].summary)
    .requiredOption('--login <name>', 'what they sign in with, such as a mail address')
    .addOption(roleOption())
    .action(async (name: string, options: InviteOptions) => {
      const { client } = await connect(io, options);
      const invited = await client.call('people.invite', { name, login: options.login, roles: options.role });
      await print(io, options, invited, () => invitationText(invited));
    });

  addServerVerb(person, 'reinvite <person>', operations['people.reinvite'].summary)
    .addOption(reasonOption(true))
    .action(async (id: string, options: ReasonOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const invited = await client.call('people.reinvite', { person: id, reason });
      await print(io, options, invited, () => invitationText(invited));
    });
}

const personRoles = [...tenantPersonRoles, ...instancePersonRoles] as const;

const roleOption = (): Option =>
  new Option('--role <role>', `what they may do: ${personRoles.join(', ')}; may be repeated`)
    .argParser(gatherFrom(personRoles))
    .makeOptionMandatory();

function invitationText({ person, invitation }: Invited): string {
  return printable(
    [
      `${person.name} is invited (${person.roles.join(', ')}): ${person.id}`,
      `Invitation: ${invitation.secret}`,
      `It is shown this once, for ${person.name} alone, and ends ${isoTime(invitation.expiresAt)}.`,
      'They accept it with: trialkeep join',
    ].join('\n'),
  );
}
