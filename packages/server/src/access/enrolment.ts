import { encodeBase32, generateTotpSecret, totpUri, verifyTotp } from '@trialkeep/crypto';
import type { KeyObject } from 'node:crypto';
import type { Hierarchy } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Apply, Caller, Context, Log } from '../platform/implementation.ts';
import { unlock } from './attempts-store.ts';
import { isWeakPassword } from './password-rules.ts';
import type { Passwords } from './passwords.ts';
import * as store from './people-store.ts';
import type { InvitationRow, PersonRow } from './people-store.ts';
import { personView } from './people.ts';

const issuer = 'Trialkeep';

/** Shows the invited person a generator of one-time codes, in place of any that they were shown before. */
export async function begin(
  hierarchy: Hierarchy,
  { caller, record }: Context<'enrolment.begin'>,
): Promise<Apply<'enrolment.begin'>> {
  const { log } = caller;
  const { rowKey, person, invitation } = await invited(hierarchy, caller);
  record.person = person.id;
  const id = newId();
  const secret = generateTotpSecret();
  const wrapped = await hierarchy.wrapAuthenticator(log.tenant, person.id, id, secret);
  const totp = {
    secret: base32Of(secret),
    uri: totpUri({ secret, issuer, account: accountOf(log, person) }),
  };
  return async (tx, time) => {
    await store.insertAuthenticator(tx, rowKey, {
      id,
      person: person.id,
      type: 'totp',
      secret: wrapped,
      used_step: 0,
      created_at: time,
    });
    await store.changeInvitation(tx, rowKey, invitation, { state: 'open', totp: id });
    if (invitation.totp !== null) await store.deleteAuthenticator(tx, invitation.totp);
    return { person: personView(person), totp };
  };
}

/** Puts the generator and a password in force, and the person to work: one change, once for each invitation. */
export async function finish(
  hierarchy: Hierarchy,
  passwords: Passwords,
  { input, caller, now, record, payload, once }: Context<'enrolment.finish'>,
): Promise<Apply<'enrolment.finish'>> {
  const { rowKey, person, invitation, totp } = await invited(hierarchy, caller);
  record.person = person.id;
  if (totp === undefined) throw new OperationError('enrolment.not_begun');
  const { secret: wrapped, used_step: lastStep } = totp;
  const secret = await hierarchy.unwrapAuthenticator(caller.log.tenant, person.id, totp.id, wrapped);
  const step = verifyTotp({ secret, code: input.code, timeMs: now, lastStep });
  if (step === undefined) throw new OperationError('enrolment.code_wrong', { field: '/code' });
  if (isWeakPassword(input.password, person)) {
    throw new OperationError('password.weak', { field: '/password' });
  }
  const hash = await once(() => passwords.hash(input.password));
  const password = newId();
  return async (tx, time) => {
    await store.insertAuthenticator(tx, rowKey, {
      id: password,
      person: person.id,
      type: 'password',
      secret: Buffer.from(hash, 'utf8'),
      used_step: 0,
      created_at: time,
    });
    if (!(await store.takeStep(tx, rowKey, totp, step))) {
      throw new OperationError('enrolment.code_wrong', { field: '/code' });
    }
    await store.changeInvitation(tx, rowKey, invitation, { state: 'used', totp: null });
    const change = { state: 'active', password, totp: totp.id } as const;
    const active = await store.changePerson(tx, rowKey, person, change);
    await unlock(tx, person.id);
    payload['old'] = { state: person.state };
    payload['new'] = { state: active.state };
    record.state = active.state;
    record.version = active.revision;
    return personView(active);
  };
}

/** The invitation that the caller has shown, under the epoch of their authorisation. */
async function invited(hierarchy: Hierarchy, { means, actor, log, facts }: Caller) {
  const rowKey = await hierarchy.rowKey(log.tenant);
  return facts.read(async (snapshot) => {
    const person: PersonRow | undefined = await store.findPerson(snapshot, rowKey, log.id, actor);
    const invitation: InvitationRow | undefined = await store.findInvitation(
      snapshot,
      rowKey,
      log.id,
      means.id,
    );
    if (person === undefined || invitation?.person !== person.id) {
      throw new Error('An enrolment was reached without an invitation.');
    }
    const totp = await store.findAuthenticator(snapshot, rowKey, person.id, invitation.totp);
    return { rowKey, person, invitation, totp };
  });
}

function base32Of(secret: KeyObject): string {
  const bytes = secret.export();
  const text = encodeBase32(bytes);
  bytes.fill(0);
  return text;
}

/** Authenticator apps replace an account of the same name: that of another tenant has another one. */
function accountOf({ tenant }: Log, { login }: PersonRow): string {
  return tenant === null ? login : `${login} (${tenant.slice(0, 8)})`;
}
